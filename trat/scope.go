package trat

import (
	"iter"
	"strings"
)

// Scope is a set of scope tokens in the string form of RFC 8693 section 4.2 and
// RFC 6749 section 3.3: case-sensitive tokens with one space between them. It is
// immutable; == compares the text, so the order of tokens counts there and
// nowhere else. The zero Scope holds no token.
type Scope struct{ text string }

// ParseScope reads one or more scope tokens. It is strict: no leading, trailing
// or double space, no character outside RFC 6749, at most MaxScopeSize bytes. The
// empty string is an error too: no scope is written as the zero Scope. Failures
// are an *Error with ReasonScopeMalformed and Field "scope".
func ParseScope(s string) (Scope, error) {
	if s == "" {
		return Scope{}, Errorf(ReasonScopeMalformed, "scope", "empty")
	}
	if len(s) > MaxScopeSize {
		return Scope{}, Errorf(ReasonScopeMalformed, "scope", "longer than %d bytes", MaxScopeSize)
	}
	previous := byte(' ')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ' ' && previous == ' ':
			return Scope{}, Errorf(ReasonScopeMalformed, "scope", "space at byte %d separates nothing", i)
		case c != ' ' && !scopeChar(c):
			return Scope{}, Errorf(ReasonScopeMalformed, "scope", "character at byte %d is not allowed", i)
		}
		previous = c
	}
	if previous == ' ' {
		return Scope{}, Errorf(ReasonScopeMalformed, "scope", "trailing space")
	}
	return Scope{text: s}, nil
}

// scopeChar reports whether RFC 6749 section 3.3 allows c in a scope token.
func scopeChar(c byte) bool {
	return c > ' ' && c < 0x7f && c != '"' && c != '\\'
}

// String returns the tokens with one space between them, "" for the zero Scope.
func (s Scope) String() string { return s.text }

// MarshalText returns what String returns, so that a Scope is a JSON string.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// Equal reports whether s and other are the same text.
func (s Scope) Equal(other Scope) bool { return s == other }

// IsZero reports whether s holds no token.
func (s Scope) IsZero() bool { return s.text == "" }

// Contains reports whether token, exactly one scope token, is in s. It does not
// allocate.
func (s Scope) Contains(token string) bool {
	if token == "" || strings.IndexByte(token, ' ') >= 0 {
		return false
	}
	for have := range s.Tokens() {
		if have == token {
			return true
		}
	}
	return false
}

// Covers reports whether every token of other is in s. Every Scope covers the zero
// Scope.
func (s Scope) Covers(other Scope) bool {
	for token := range other.Tokens() {
		if !s.Contains(token) {
			return false
		}
	}
	return true
}

// Tokens yields the tokens in their order.
func (s Scope) Tokens() iter.Seq[string] {
	return func(yield func(string) bool) {
		rest := s.text
		for rest != "" {
			token, after, _ := strings.Cut(rest, " ")
			if !yield(token) {
				return
			}
			rest = after
		}
	}
}
