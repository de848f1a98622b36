package trat

import (
	"strconv"
	"strings"
)

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

// unicodeEscape reads \uhhhh, or two of them that make a surrogate pair.
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

// hexEscape reads the four digits of the \uhhhh at the front of src.
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
