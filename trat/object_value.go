package trat

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
)

// Value is a JSON value in an Object. It keeps the text, which was checked when the
// Object was read, so that no number is rounded. The zero Value is an absent one.
//
// As with an Object, fmt and log/slog print only its size.
type Value struct{ text string }

// IsZero reports whether v is absent. A null is not.
func (v Value) IsZero() bool { return v.text == "" }

// JSON returns the text without space between tokens, "" when v is absent.
func (v Value) JSON() string { return v.text }

func (v Value) begins(c jsonKind) bool { return v.text != "" && v.text[0] == byte(c) }

// IsNull reports whether v is a null.
func (v Value) IsNull() bool { return v.begins(jsonNull) }

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return v.begins(jsonObject) }

// IsArray reports whether v is an array.
func (v Value) IsArray() bool { return v.begins(jsonArray) }

// Number returns the text of a JSON number, as it was written.
func (v Value) Number() (string, bool) {
	if v.text == "" || v.text[0] != '-' && (v.text[0] < '0' || v.text[0] > '9') {
		return "", false
	}
	return v.text, true
}

// Bool returns a JSON boolean.
func (v Value) Bool() (value, ok bool) {
	return v.text == "true", v.text == "true" || v.text == "false"
}

// Text returns the content of a JSON string. It allocates only where there are escapes.
func (v Value) Text() (string, bool) {
	if !v.begins(jsonString) {
		return "", false
	}
	return unquote(v.text), true
}

// Members yields each member of an object with its value, in document order, and
// nothing for any other value. Names are unique.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if !v.IsObject() {
			return
		}
		for i := 1; v.text[i] != '}'; {
			name, start := nameAt(v.text, i)
			end := afterValue(v.text, start)
			if !yield(name, Value{text: v.text[start:end]}) {
				return
			}
			i = afterComma(v.text, end)
		}
	}
}

// Elements yields the elements of an array, and nothing for any other value.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if !v.IsArray() {
			return
		}
		for i := 1; v.text[i] != ']'; {
			end := afterValue(v.text, i)
			if !yield(Value{text: v.text[i:end]}) {
				return
			}
			i = afterComma(v.text, end)
		}
	}
}

// String returns the size, not the content.
func (v Value) String() string { return fmt.Sprintf("trat.Value(%d bytes)", len(v.text)) }

// Format prints what String returns, whatever the verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// LogValue returns what String returns.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// The functions below read the text of an Object: it has passed the strict reader and has
// no space between tokens, so that they check nothing again. An index i is that of the
// first byte of what they are about.

// nameAt returns the name of the member at i and the index of its value.
func nameAt(text string, i int) (name string, value int) {
	end := afterString(text, i)
	return unquote(text[i:end]), end + 1
}

// afterComma returns the index after the comma at i, or i when there is none.
func afterComma(text string, i int) int {
	if text[i] == ',' {
		return i + 1
	}
	return i
}

// afterValue returns the index after the value at i.
func afterValue(text string, i int) int {
	switch text[i] {
	case '"':
		return afterString(text, i)
	case '{', '[':
		return afterBrackets(text, i)
	}
	for i < len(text) && text[i] != ',' && text[i] != '}' && text[i] != ']' {
		i++
	}
	return i
}

// afterBrackets returns the index after the object or array at i.
func afterBrackets(text string, i int) int {
	for depth := 0; ; {
		switch text[i] {
		case '"':
			i = afterString(text, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
}

// afterString returns the index after the string at i.
func afterString(text string, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// unquote returns the content of a string.
func unquote(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	s := jsonScanner{src: quoted}
	content, _ := s.stringText() // it was read before
	return content
}
