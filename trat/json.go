package trat

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// The reader below is stricter than encoding/json, because what two parsers read
// differently is a way around one of them (RFC 8725 section 2.4): no duplicate
// member names at any depth, compared after unescaping; no invalid UTF-8 and no
// lone surrogate; no number that a 64-bit integer or float cannot hold; bounded
// depth; nothing after the value. It makes one pass, and strings without escapes
// are substrings of the source.

var (
	errJSONSyntax    = errors.New("JSON: syntax error")
	errJSONEnd       = errors.New("JSON: unexpected end")
	errJSONTrailing  = errors.New("JSON: data after the value")
	errJSONDuplicate = errors.New("JSON: duplicate member name")
	errJSONDepth     = errors.New("JSON: nested too deep")
	errJSONUTF8      = errors.New("JSON: invalid UTF-8")
	errJSONSurrogate = errors.New("JSON: lone surrogate")
	errJSONNumber    = errors.New("JSON: number out of range")
	errJSONNotObject = errors.New("JSON: not an object")
)

// jsonKind is the type of a value, written as the first byte of its text; every
// number is jsonNumber and both booleans are jsonBool.
type jsonKind byte

const (
	jsonObject jsonKind = '{'
	jsonArray  jsonKind = '['
	jsonString jsonKind = '"'
	jsonNumber jsonKind = '0'
	jsonBool   jsonKind = 't'
	jsonNull   jsonKind = 'n'
)

// jsonValue is a value that the scanner has passed.
type jsonValue struct {
	kind jsonKind
	raw  string // its text, without space around it
	text string // the content of a string, unescaped
}

// jsonScanner reads one JSON text.
type jsonScanner struct {
	src    string
	pos    int
	depth  int  // levels that may still be opened
	spaced bool // there was space between tokens
}

// newJSONScanner returns a scanner for src, in which objects and arrays may nest
// to the given depth.
func newJSONScanner(src string, depth int) (jsonScanner, error) {
	if !utf8.ValidString(src) {
		return jsonScanner{}, errJSONUTF8
	}
	return jsonScanner{src: src, depth: depth}, nil
}

// peek skips space and returns the next byte without passing it.
func (s *jsonScanner) peek() (byte, error) {
	for ; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.spaced = true
		default:
			return c, nil
		}
	}
	return 0, errJSONEnd
}

// end fails unless only space is left.
func (s *jsonScanner) end() error {
	if _, err := s.peek(); err == nil {
		return errJSONTrailing
	}
	return nil
}

// value reads the next value.
func (s *jsonScanner) value() (jsonValue, error) {
	c, err := s.peek()
	if err != nil {
		return jsonValue{}, err
	}
	start := s.pos
	v := jsonValue{}
	switch c {
	case '{':
		v.kind, err = jsonObject, s.skipObject()
	case '[':
		v.kind, err = jsonArray, s.skipArray()
	case '"':
		v.kind = jsonString
		v.text, err = s.stringText()
	case 't':
		v.kind, err = jsonBool, s.literal("true")
	case 'f':
		v.kind, err = jsonBool, s.literal("false")
	case 'n':
		v.kind, err = jsonNull, s.literal("null")
	default:
		v.kind, err = jsonNumber, s.number()
	}
	if err != nil {
		return jsonValue{}, err
	}
	v.raw = s.src[start:s.pos]
	return v, nil
}

// scanObject reads a text that is one object and returns it, without space around
// it, and whether there is space in it.
func scanObject(src string, depth int) (text string, spaced bool, err error) {
	s, err := newJSONScanner(src, depth)
	if err != nil {
		return "", false, err
	}
	v, err := s.value()
	if err != nil {
		return "", false, err
	}
	if v.kind != jsonObject {
		return "", false, errJSONNotObject
	}
	return v.raw, s.spaced, s.end()
}

// elements walks an array whose text was checked before, so that an error cannot
// occur and would only end the walk.
func elements(array string) iter.Seq[jsonValue] {
	return func(yield func(jsonValue) bool) {
		s := jsonScanner{src: array, depth: MaxDepth}
		err := s.open()
		for first := true; err == nil; first = false {
			var more bool
			if more, err = s.more(']', first); err != nil || !more {
				return
			}
			var v jsonValue
			if v, err = s.value(); err != nil || !yield(v) {
				return
			}
		}
	}
}

// literal passes word.
func (s *jsonScanner) literal(word string) error {
	if !strings.HasPrefix(s.src[s.pos:], word) {
		return errJSONSyntax
	}
	s.pos += len(word)
	return nil
}

func (s *jsonScanner) skipObject() error {
	members, err := s.object()
	if err != nil {
		return err
	}
	for {
		_, ok, err := members.next()
		if err != nil || !ok {
			return err
		}
		if _, err := s.value(); err != nil {
			return err
		}
	}
}

func (s *jsonScanner) skipArray() error {
	if err := s.open(); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := s.more(']', first)
		if err != nil || !more {
			return err
		}
		if _, err := s.value(); err != nil {
			return err
		}
	}
}

// open passes a bracket and counts it against the depth.
func (s *jsonScanner) open() error {
	if s.depth == 0 {
		return errJSONDepth
	}
	s.depth--
	s.pos++
	return nil
}

// more reports whether another element follows; at the closing bracket it passes
// that and reports false.
func (s *jsonScanner) more(closing byte, first bool) (bool, error) {
	c, err := s.peek()
	switch {
	case err != nil:
		return false, err
	case c == closing:
		s.pos++
		s.depth++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, errJSONSyntax
	}
	s.pos++
	if c, err = s.peek(); err == nil && c == closing {
		err = errJSONSyntax // a comma before the bracket
	}
	return true, err
}

// jsonMembers walks the members of one object.
type jsonMembers struct {
	s     *jsonScanner
	count int
	// The first names are compared one by one, which needs no memory. Beyond them a
	// set keeps the work linear in the size of a hostile text.
	names [16]string
	set   map[string]struct{}
}

// object opens the object that the scanner is at.
func (s *jsonScanner) object() (jsonMembers, error) {
	if c, err := s.peek(); err != nil {
		return jsonMembers{}, err
	} else if c != '{' {
		return jsonMembers{}, errJSONNotObject
	}
	if err := s.open(); err != nil {
		return jsonMembers{}, err
	}
	return jsonMembers{s: s}, nil
}

// next reads the next member's name and leaves the scanner at its value, which
// the caller must read. It reports false at the end of the object.
func (m *jsonMembers) next() (name string, ok bool, err error) {
	more, err := m.s.more('}', m.count == 0)
	if err != nil || !more {
		return "", false, err
	}
	if c, err := m.s.peek(); err != nil {
		return "", false, err
	} else if c != '"' {
		return "", false, errJSONSyntax
	}
	if name, err = m.s.stringText(); err != nil {
		return "", false, err
	}
	if m.seen(name) {
		return "", false, errJSONDuplicate
	}
	if c, err := m.s.peek(); err != nil {
		return "", false, err
	} else if c != ':' {
		return "", false, errJSONSyntax
	}
	m.s.pos++
	return name, true, nil
}

// seen records name and reports whether it was there before.
func (m *jsonMembers) seen(name string) bool {
	if slices.Contains(m.names[:min(m.count, len(m.names))], name) {
		return true
	}
	if m.count < len(m.names) {
		m.names[m.count] = name
	} else {
		if m.set == nil {
			m.set = make(map[string]struct{})
		}
		if _, dup := m.set[name]; dup {
			return true
		}
		m.set[name] = struct{}{}
	}
	m.count++
	return false
}
