package trat

import (
	"errors"
	"iter"
	"strconv"
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
	inline := m.names[:min(m.count, len(m.names))]
	for _, have := range inline {
		if have == name {
			return true
		}
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

// stringText reads the string that the scanner is at and returns its content.
func (s *jsonScanner) stringText() (string, error) {
	start := s.pos + 1
	for i := start; i < len(s.src); i++ {
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return s.src[start:i], nil
		case c == '\\':
			return s.unescape(start, i)
		case c < ' ':
			return "", errJSONSyntax
		}
	}
	return "", errJSONEnd
}

// unescape finishes a string whose content begins at start and whose first
// backslash is at i.
func (s *jsonScanner) unescape(start, i int) (string, error) {
	var b strings.Builder
	for b.WriteString(s.src[start:i]); i < len(s.src); {
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return b.String(), nil
		case c == '\\':
			n, err := appendEscape(&b, s.src[i:])
			if err != nil {
				return "", err
			}
			i += n
		case c < ' ':
			return "", errJSONSyntax
		default:
			b.WriteByte(c)
			i++
		}
	}
	return "", errJSONEnd
}

// appendEscape writes what the escape sequence at the front of src stands for and
// returns the length of the sequence.
func appendEscape(b *strings.Builder, src string) (int, error) {
	if len(src) < 2 {
		return 0, errJSONEnd
	}
	if src[1] == 'u' {
		r, n, err := unicodeEscape(src)
		if err != nil {
			return 0, err
		}
		b.WriteRune(r)
		return n, nil
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	i := strings.IndexByte(from, src[1])
	if i < 0 {
		return 0, errJSONSyntax
	}
	b.WriteByte(to[i])
	return 2, nil
}

// unicodeEscape reads \uXXXX, or two of them that make a surrogate pair.
func unicodeEscape(src string) (r rune, n int, err error) {
	const surrogate, low, end = 0xd800, 0xdc00, 0xe000
	if r, err = hexEscape(src); err != nil || r < surrogate || r >= end {
		return r, 6, err
	}
	if r >= low || !strings.HasPrefix(src[6:], `\u`) {
		return 0, 0, errJSONSurrogate
	}
	second, err := hexEscape(src[6:])
	if err != nil {
		return 0, 0, err
	}
	if second < low || second >= end {
		return 0, 0, errJSONSurrogate
	}
	return (r-surrogate)<<10 | (second - low) + 0x10000, 12, nil
}

// hexEscape reads the four digits of the \uXXXX at the front of src.
func hexEscape(src string) (rune, error) {
	if len(src) < 6 {
		return 0, errJSONEnd
	}
	var r rune
	for _, c := range []byte(src[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, errJSONSyntax
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}

// number passes a number and fails when nothing of 64 bits holds it: an integer
// must fit int64 or uint64, any other number must be a finite float64.
func (s *jsonScanner) number() error {
	start := s.pos
	s.byteIn("-")
	if !s.byteIn("0") && s.digits() == 0 {
		return errJSONSyntax
	}
	integer := true
	if s.byteIn(".") {
		integer = false
		if s.digits() == 0 {
			return errJSONSyntax
		}
	}
	if s.byteIn("eE") {
		integer = false
		s.byteIn("+-")
		if s.digits() == 0 {
			return errJSONSyntax
		}
	}
	text := s.src[start:s.pos]
	var err error
	switch {
	case !integer:
		_, err = strconv.ParseFloat(text, 64)
	case text[0] == '-':
		_, err = strconv.ParseInt(text, 10, 64)
	default:
		_, err = strconv.ParseUint(text, 10, 64)
	}
	if err != nil {
		return errJSONNumber // without the cause, which quotes the number
	}
	return nil
}

// byteIn passes the next byte if it is one of set.
func (s *jsonScanner) byteIn(set string) bool {
	if s.pos < len(s.src) && strings.IndexByte(set, s.src[s.pos]) >= 0 {
		s.pos++
		return true
	}
	return false
}

// digits passes decimal digits and returns how many.
func (s *jsonScanner) digits() int {
	start := s.pos
	for s.pos < len(s.src) && '0' <= s.src[s.pos] && s.src[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}
