package token68_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/token68"
)

func TestIs(t *testing.T) {
	for _, text := range []string{"a", "Z9", "a=", "a==", "-._~+/", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", strings.Repeat("x", 1<<16)} {
		if !token68.Is(text) {
			t.Errorf("%.20q is none", text)
		}
	}
	for _, text := range []string{"", "=", "==", "=a", "a=b", "a b", "a\r\nX-Evil: 1", "a\n", " a", "ü", "a\x00", "a,b", `"a"`, "{}", "a;b"} {
		if token68.Is(text) {
			t.Errorf("%q is one", text)
		}
	}
}

func FuzzIs(f *testing.F) {
	f.Add("9d1f-a.s0me~opaque+token/of_no.meaning.here=")
	f.Add("=")
	f.Add("a\nb")
	grammar := regexp.MustCompile(`\A[A-Za-z0-9._~+/-]+=*\z`)
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := token68.Is(text), grammar.MatchString(text); got != want {
			t.Errorf("Is(%q) = %t, by the grammar %t", text, got, want)
		}
	})
}
