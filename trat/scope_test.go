package trat

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Covers TTS-06, TTS-29.
func TestParseScope(t *testing.T) {
	for _, text := range []string{"a", "trade.stocks", "a b", "openid profile https://x/y?z", "!#[]~", strings.Repeat("x", MaxScopeSize)} {
		s, err := ParseScope(text)
		if err != nil || s.String() != text || s.IsZero() {
			t.Errorf("ParseScope(%q) = %q, %v", text, s, err)
		}
	}
	for _, text := range []string{
		"", " ", " a", "a ", "a  b", "a\tb", "a\nb", "a\x00", `a"`, `a\b`, "\x7f", "ä", "\xff", strings.Repeat("x", MaxScopeSize+1),
	} {
		s, err := ParseScope(text)
		if !s.IsZero() {
			t.Errorf("ParseScope(%q) = %q", text, s)
		}
		wantError(t, err, ReasonScopeMalformed, "scope")
	}
	for c := range 256 {
		want := c > ' ' && c < 0x7f && c != '"' && c != '\\'
		if _, err := ParseScope("a" + string([]byte{byte(c)}) + "b"); (err == nil) != (want || c == ' ') {
			t.Errorf("character %#x: %v", c, err)
		}
	}
}

// Covers TTS-06, VER-18.
func TestScopeSets(t *testing.T) {
	s, err := ParseScope("order.create stock.read pay")
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(s.Tokens()); !slices.Equal(got, []string{"order.create", "stock.read", "pay"}) {
		t.Errorf("Tokens = %q", got)
	}
	for token := range s.Tokens() {
		if token != "order.create" {
			t.Errorf("first token = %q", token)
		}
		break
	}
	for token, want := range map[string]bool{
		"pay": true, "order.create": true, "stock.read": true,
		"": false, "Pay": false, "order": false, "order.create stock.read": false, " pay": false, "pay ": false, "stock.rea": false,
	} {
		if got := s.Contains(token); got != want {
			t.Errorf("Contains(%q) = %v", token, got)
		}
	}
	for other, want := range map[string]bool{
		"pay order.create": true, "order.create stock.read pay": true, "pay pay": true, "pay refund": false, "PAY": false,
	} {
		o, err := ParseScope(other)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Covers(o); got != want {
			t.Errorf("Covers(%q) = %v", other, got)
		}
	}
	zero := Scope{}
	if !s.Covers(zero) || zero.Covers(s) || !zero.Covers(zero) || zero.Contains("") || zero.String() != "" {
		t.Error("the zero Scope is not the empty set")
	}
	if n := testing.AllocsPerRun(100, func() { _ = s.Contains("pay") && s.Covers(s) }); n != 0 {
		t.Errorf("Contains and Covers allocate %v times", n)
	}
	if s.Equal(zero) || !cmp.Equal(s, s) || toJSON(s) != `"order.create stock.read pay"` {
		t.Error("comparison or JSON form differs")
	}
}

func FuzzParseScope(f *testing.F) {
	for _, seed := range []string{"a", "a b", " a", "a  b", "a\"", "ä", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScope(text)
		if err != nil {
			if !errors.Is(err, ReasonScopeMalformed) || !s.IsZero() {
				t.Errorf("error %v with scope %q", err, s)
			}
			return
		}
		tokens := slices.Collect(s.Tokens())
		if s.String() != text || strings.Join(tokens, " ") != text || len(tokens) != len(strings.Fields(text)) {
			t.Errorf("%q reads as %q", text, tokens)
		}
		if !s.Covers(s) {
			t.Errorf("%q does not cover itself", text)
		}
		for _, token := range tokens {
			if !s.Contains(token) {
				t.Errorf("%q does not contain %q", text, token)
			}
		}
	})
}
