package samejson_test

import (
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/samejson"
)

// Covers REPL-03.
func TestValuesAreComparedAndNotTexts(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b string
		want bool
	}{
		"the same text":            {`{"a":1}`, `{"a":1}`, true},
		"space":                    {`{"a":[1,2]}`, `{ "a": [1, 2] }`, true},
		"order of members":         {`{"a":1,"b":2}`, `{"b":2,"a":1}`, true},
		"escapes":                  {`"\u00e9\/"`, `"é/"`, true},
		"nothing and null":         {`{}`, `{"a":null}`, false},
		"order of elements":        {`[1,2]`, `[2,1]`, false},
		"a number and its text":    {`1`, `"1"`, false},
		"numbers of one value":     {`1`, `1.0`, false},
		"numbers beyond a float64": {`9007199254740993`, `9007199254740992`, false},
		"a member more":            {`{"a":1}`, `{"a":1,"b":2}`, false},
		"deep down":                {`{"a":{"b":[{"c":true}]}}`, `{"a":{"b":[{"c":false}]}}`, false},
		"no JSON":                  {`{`, `{ `, false},
		"no JSON, the same":        {`{`, `{`, true},
		"two values":               {`1 2`, `1`, false},
		"two values, twice":        {`1 2`, `1  2`, false},
	} {
		if got := samejson.Equal(tc.a, tc.b); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
		if got := samejson.Equal(tc.b, tc.a); got != tc.want {
			t.Errorf("%s, the other way round: %t", name, got)
		}
	}
}
