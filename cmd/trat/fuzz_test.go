package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// Whatever is inspected, what is printed is JSON, or text that moves no cursor.
func FuzzInspect(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiIsInR5cCI6InR4bnRva2VuK2p3dCJ9.eyJzdWIiOiJhIiwiaWF0IjoxLCJleHAiOjJ9.c2ln")
	f.Add("e30.eyJpYXQiOjFlOTl9.")
	f.Add("bnVsbA.W10.x")
	f.Add("\x1b[2J.\u009b.\x00")
	f.Add("....")
	f.Add(encoded(`{"alg":"ES256"}`) + "." + encoded("{\"sub\":\"a\u009b31m\U000e0001\u202e\x7f\"}") + ".c2ln")
	f.Add(encoded(`{"alg":"ES256"}`) + "." + encoded("{\"sub\":\"\x9b31m\"}") + ".c2ln")
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, raw string) {
		var asText, asJSON strings.Builder
		errText, errJSON := inspect(raw, now, outputText, &asText), inspect(raw, now, outputJSON, &asJSON)
		if (errText == nil) != (errJSON == nil) {
			t.Errorf("as text %v, as JSON %v", errText, errJSON)
		}
		if !json.Valid([]byte(asJSON.String())) {
			t.Errorf("not JSON: %q", asJSON.String())
		}
		if !strings.HasPrefix(asText.String(), "NOT VERIFIED: ") {
			t.Errorf("printed %q", asText.String())
		}
		for _, printed := range []string{asText.String(), asJSON.String()} {
			if i := strings.IndexFunc(printed, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(printed) {
				t.Errorf("unprintable at %d: %q", i, printed)
			}
		}
	})
}

// A claim that a stranger wrote is the same claim when it is printed.
func FuzzPrintable(f *testing.F) {
	for _, text := range []string{"a", "\u009b31m", "\U000e0001\U0010ffff", "\u202e\x7f\x00", "\ufeff\u2028", `\u0061\`, "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		printed := printable(text)
		if i := strings.IndexFunc(printed, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(printed) {
			t.Errorf("unprintable at %d: %q", i, printed)
		}
		before, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		if err := json.Unmarshal(before, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(printable(string(before))), &got); err != nil || got != want {
			t.Errorf("%q is printed as %q, %v", want, got, err)
		}
	})
}
