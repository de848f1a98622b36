package trat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// Object is an immutable JSON object, such as a TraT's tctx or rctx. It keeps the
// text, so that 64-bit integers survive (draft section 11.1). The zero Object is
// an absent one. == compares the text.
//
// Its values may be personal: fmt and log/slog print only its size. JSON,
// MarshalJSON and the accessors return the content.
type Object struct{ text string }

// ParseObject reads a JSON object of at most MaxObjectSize bytes. It is strict:
// see MaxDepth; duplicate names, invalid UTF-8, lone surrogates, numbers beyond 64
// bits and trailing data are refused. Space between tokens is dropped. Failures
// are an *Error with ReasonParameterInvalid and no Field.
func ParseObject(text string) (Object, error) {
	if len(text) > MaxObjectSize {
		return Object{}, Errorf(ReasonParameterInvalid, "", "JSON: longer than %d bytes", MaxObjectSize)
	}
	o, err := parseObject(text)
	if err != nil {
		return Object{}, &Error{Reason: ReasonParameterInvalid, Err: err}
	}
	return o, nil
}

func parseObject(text string) (Object, error) {
	object, spaced, err := scanObject(text, MaxDepth-1)
	if err != nil {
		return Object{}, err
	}
	return compactObject(object, spaced)
}

// compactObject returns the object with the given valid text, without the space
// that the text may have between tokens.
func compactObject(text string, spaced bool) (Object, error) {
	if !spaced {
		return Object{text: text}, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		return Object{}, errJSONSyntax
	}
	return Object{text: b.String()}, nil
}

// NewObject returns the object with the given members, in the order of their
// names. A value may be anything that encoding/json marshals; the result is held
// to the same rules as ParseObject. A nil or empty map gives an empty object, not
// an absent one. Failures are an *Error with ReasonParameterInvalid.
func NewObject(members map[string]any) (Object, error) {
	if len(members) == 0 {
		return Object{text: "{}"}, nil
	}
	text := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			text = append(text, ',')
		}
		var err error
		if text, err = appendJSON(text, name); err == nil {
			text, err = appendJSON(append(text, ':'), members[name])
		}
		if err != nil {
			// The cause of encoding/json may quote a value.
			return Object{}, Errorf(ReasonParameterInvalid, "", "JSON: a member cannot be marshalled")
		}
	}
	return ParseObject(string(append(text, '}')))
}

// appendJSON appends what encoding/json makes of value. What tokens are mostly made of,
// plain texts and values that are JSON already, goes without it: it costs several times
// as much as all that is done with the result.
func appendJSON(dst []byte, value any) ([]byte, error) {
	switch value := value.(type) {
	case json.RawMessage:
		if value == nil {
			return append(dst, "null"...), nil
		}
		// One value and nothing after it: a comma would begin another member.
		s, err := newJSONScanner(string(value), MaxDepth)
		if err == nil {
			_, err = s.value()
		}
		if err == nil {
			err = s.end()
		}
		return append(dst, value...), err
	case string:
		if isPlain(value) {
			return append(append(append(dst, '"'), value...), '"'), nil
		}
	}
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// isPlain reports whether text stands for itself in JSON.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// IsZero reports whether o is absent. An empty object, {}, is not.
func (o Object) IsZero() bool { return o.text == "" }

// Equal reports whether o and other have the same text.
func (o Object) Equal(other Object) bool { return o == other }

// JSON returns the text without space between tokens, "{}" when o is zero.
func (o Object) JSON() string {
	if o.text == "" {
		return "{}"
	}
	return o.text
}

// Members yields each member's name and the JSON text of its value, in document
// order.
func (o Object) Members() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, v := range o.members() {
			if !yield(name, v.raw) {
				return
			}
		}
	}
}

// members walks text that was checked before, so that an error cannot occur and
// would only end the walk.
func (o Object) members() iter.Seq2[string, jsonValue] {
	return func(yield func(string, jsonValue) bool) {
		if o.text == "" {
			return
		}
		s := jsonScanner{src: o.text, depth: MaxDepth}
		members, err := s.object()
		for err == nil {
			var name string
			var ok bool
			if name, ok, err = members.next(); err != nil || !ok {
				return
			}
			var v jsonValue
			if v, err = s.value(); err != nil || !yield(name, v) {
				return
			}
		}
	}
}

// lookup finds the value at a path of member names.
func (o Object) lookup(path []string) (jsonValue, bool) {
	v := jsonValue{kind: jsonObject, raw: o.text}
	for _, want := range path {
		if v.kind != jsonObject {
			return jsonValue{}, false
		}
		found := false
		for name, member := range (Object{text: v.raw}).members() {
			if name == want {
				v, found = member, true
				break
			}
		}
		if !found {
			return jsonValue{}, false
		}
	}
	return v, o.text != ""
}

// Raw returns the JSON text of the value at a path of member names. Without a path
// it is the object itself.
func (o Object) Raw(path ...string) (string, bool) {
	v, ok := o.lookup(path)
	return v.raw, ok
}

// Text returns the content of the JSON string at path. It reports false for any
// other type.
func (o Object) Text(path ...string) (string, bool) {
	v, ok := o.lookup(path)
	if !ok || v.kind != jsonString {
		return "", false
	}
	return v.text, true
}

// Int64 returns the JSON number at path. It reports false when the number has a
// fraction or an exponent, or does not fit.
func (o Object) Int64(path ...string) (int64, bool) {
	v, ok := o.lookup(path)
	if !ok || v.kind != jsonNumber {
		return 0, false
	}
	n, err := strconv.ParseInt(v.raw, 10, 64)
	return n, err == nil
}

// Bool returns the JSON boolean at path.
func (o Object) Bool(path ...string) (value, ok bool) {
	v, ok := o.lookup(path)
	if !ok || v.kind != jsonBool {
		return false, false
	}
	return v.raw == "true", true
}

// Decode unmarshals the object into v with encoding/json; the zero Object decodes
// as {}. That finds the field for a member without regard to case, so two members for
// one field are refused, as duplicate names are. The error is an *Error with
// ReasonParameterInvalid that names the member where encoding/json does, and no value.
func (o Object) Decode(v any) error {
	if v != nil {
		if err := checkNames(reflect.TypeOf(v), jsonValue{kind: jsonObject, raw: o.text}); err != nil {
			return &Error{Reason: ReasonParameterInvalid, Err: err}
		}
	}
	err := json.Unmarshal([]byte(o.JSON()), v)
	if err == nil {
		return nil
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Errorf(ReasonParameterInvalid, mismatch.Field, "does not fit %s", mismatch.Type)
	}
	return Errorf(ReasonParameterInvalid, "", "JSON: cannot be decoded into %T", v)
}

// MarshalJSON returns the text.
func (o Object) MarshalJSON() ([]byte, error) { return []byte(o.JSON()), nil }

// String returns the size, not the content.
func (o Object) String() string { return fmt.Sprintf("trat.Object(%d bytes)", len(o.text)) }

// Format prints what String returns, whatever the verb.
func (o Object) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.String()) }

// LogValue returns what String returns.
func (o Object) LogValue() slog.Value { return slog.StringValue(o.String()) }
