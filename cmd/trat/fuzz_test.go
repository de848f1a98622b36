package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
)

// Whatever is inspected, what is printed is JSON, or text that moves no cursor.
func FuzzInspect(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiIsInR5cCI6InR4bnRva2VuK2p3dCJ9.eyJzdWIiOiJhIiwiaWF0IjoxLCJleHAiOjJ9.c2ln")
	f.Add("e30.eyJpYXQiOjFlOTl9.")
	f.Add("bnVsbA.W10.x")
	f.Add("\x1b[2J.\u009b.\x00")
	f.Add("....")
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
		if i := strings.IndexFunc(asText.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("unprintable at %d: %q", i, asText.String())
		}
	})
}
