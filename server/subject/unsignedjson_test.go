package subject_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-16.
func TestAnUnsignedObjectNamesASubjectOfTheRequester(t *testing.T) {
	r := registry(t, subject.NewUnsignedJSON())
	for name, test := range map[string]struct {
		token  string
		expiry time.Time
	}{
		"sub only":        {`{"sub":"alice"}`, time.Time{}},
		"further members": {` { "sub" : "alice", "tenant": 7 } `, time.Time{}},
		"an exp":          {fmt.Sprintf(`{"sub":"alice","exp":%d}`, now.Unix()+1), now.Add(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := r.Verify(t.Context(), input(trat.TokenTypeUnsignedJSON, test.token))
			if err != nil {
				t.Fatal(err)
			}
			if p.Issuer != gateway.String() || p.Subject != "unsigned:shop.test/gateway:alice" || p.ScopeKnown || !p.Expiry.Equal(test.expiry) {
				t.Errorf("principal = %+v", p)
			}
		})
	}
}

// Covers TTS-16, TTS-19.
func TestBadUnsignedObjectsAreRefused(t *testing.T) {
	r := registry(t, subject.NewUnsignedJSON())
	for _, test := range []struct {
		name, token string
		reason      trat.Reason
		field       string
	}{
		{"without sub", `{"name":"alice"}`, trat.ReasonSubjectTokenInvalid, "sub"},
		{"an empty sub", `{"sub":""}`, trat.ReasonSubjectTokenInvalid, "sub"},
		{"a sub that is a number", `{"sub":42}`, trat.ReasonSubjectTokenInvalid, "sub"},
		{"a sub that is too long", `{"sub":"` + strings.Repeat("s", 256) + `"}`, trat.ReasonSubjectTokenInvalid, "sub"},
		{"a sub with a control character", `{"sub":"alice\u0000"}`, trat.ReasonSubjectTokenInvalid, "sub"},
		{"a list", `["alice"]`, trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"text", `alice`, trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"two objects", `{"sub":"alice"}{"sub":"bob"}`, trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"two subs", `{"sub":"alice","sub":"bob"}`, trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"too long", `{"sub":"alice","x":"` + strings.Repeat("x", trat.MaxObjectSize) + `"}`, trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"an exp that is text", `{"sub":"alice","exp":"never"}`, trat.ReasonSubjectTokenInvalid, "exp"},
		{"expired", fmt.Sprintf(`{"sub":"alice","exp":%d}`, now.Unix()), trat.ReasonSubjectTokenExpired, "exp"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := r.Verify(t.Context(), input(trat.TokenTypeUnsignedJSON, test.token))
			wantError(t, p, err, test.reason, test.field)
		})
	}
}
