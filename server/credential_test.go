package server

import (
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	header    = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9"
	payload   = "eyJpc3MiOiJodHRwczovL2xvZ2luLnRlc3QifQ"
	signature = "c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"
)

// Covers TTS-32.
func TestTokenHoldsNoCredential(t *testing.T) {
	compact := header + "." + payload + "." + signature
	opaque := "opaque-0123456789-abcdefghijklmnop"
	escaped := strings.ReplaceAll(signature, "c", `\u0063`)
	tests := map[string]struct {
		subjectToken string
		tctx, rctx   string
		field        string // of the refusal
	}{
		"honest context":                {subjectToken: compact, tctx: `{"order":"o-1","note":"eyJ is how a JWT begins"}`, rctx: `{"ip":"192.0.2.1"}`},
		"no context":                    {subjectToken: compact},
		"whole token":                   {subjectToken: compact, tctx: `{"a":"` + compact + `"}`, field: "request_details"},
		"token within text":             {subjectToken: compact, tctx: `{"a":"Bearer ` + compact + `, thanks"}`, field: "request_details"},
		"token in the request context":  {subjectToken: compact, rctx: `{"a":{"b":["` + compact + `"]}}`, field: "request_context"},
		"payload":                       {subjectToken: compact, tctx: `{"a":"` + payload + `"}`, field: "request_details"},
		"signature":                     {subjectToken: compact, tctx: `{"a":"` + signature + `"}`, field: "request_details"},
		"signature as a name":           {subjectToken: compact, tctx: `{"` + signature + `":1}`, field: "request_details"},
		"signature escaped":             {subjectToken: compact, tctx: `{"a":["` + escaped + `"]}`, field: "request_details"},
		"signature escaped in a name":   {subjectToken: compact, tctx: `{"a":{"` + escaped + `":1}}`, field: "request_details"},
		"escapes that hide nothing":     {subjectToken: compact, tctx: `{"a":"line\nbreak","b":[1,null,true]}`},
		"opaque token":                  {subjectToken: opaque, tctx: `{"a":"` + opaque + `"}`, field: "request_details"},
		"opaque token as a number":      {subjectToken: "12345678901234567", tctx: `{"a":12345678901234567,"b":"\n"}`, field: "request_details"},
		"another JWT":                   {subjectToken: opaque, tctx: `{"a":"` + compact + `"}`, field: "request_details"},
		"another JWT without signature": {subjectToken: opaque, tctx: `{"a":"eyJhbGciOiJub25lIn0.e30."}`, field: "request_details"},
		"a JWE":                         {subjectToken: opaque, rctx: `{"a":"` + header + `..aaaa.bbbb.cccc"}`, field: "request_context"},
		"unsigned JSON is no credential": {
			subjectToken: `{"sub":"alice@example.test"}`, tctx: `{"who":{"sub":"alice@example.test"}}`,
		},
		"short parts are found by chance": {subjectToken: "a.b.0123456789abcdef0123456789", tctx: `{"a":"b"}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := refuseCredentials(tc.subjectToken, "login:alice", policy.Grant{
				TransactionContext: object(t, tc.tctx), RequestContext: object(t, tc.rctx),
			})
			if tc.field == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			e, ok := err.(*trat.Error) //nolint:errorlint // made here, not wrapped
			if !ok || e.Reason != trat.ReasonParameterInvalid || e.Field != tc.field {
				t.Errorf("got %v, want PARAMETER_INVALID of %s", err, tc.field)
			}
			if err != nil && strings.Contains(err.Error(), "eyJ") {
				t.Errorf("the error quotes it: %v", err)
			}
		})
	}
}

func object(t *testing.T, text string) trat.Object {
	t.Helper()
	if text == "" {
		return trat.Object{}
	}
	o, err := trat.ParseObject(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
