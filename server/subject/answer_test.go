package subject

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Whatever an issuer answers: what is accepted says all that must be said, as another
// JSON parser reads it too.
func FuzzIntrospectionAnswer(f *testing.F) {
	const good = `{"active":true,"iss":"https://login.shop.test","sub":"alice","aud":["https://api.shop.test"],"client_id":"web","exp":1800000000,"iat":1799999000,"scope":"a b","token_type":"Bearer"}`
	for _, seed := range []string{
		good,
		`{"active":true,"sub":"alice","aud":"https://api.shop.test","client_id":"web","exp":1800000000}`,
		`{"active":false}`, `{"active":"true"}`, `{"active":1}`, `{"active":null}`, `{"Active":true}`, `{}`, `[]`, ``, `<html>`,
		strings.Replace(good, `{`, `{"active":false,`, 1),
		strings.Replace(good, `"alice"`, `"alice","sub":"bob"`, 1),
		strings.Replace(good, `Bearer`, `refresh_token`, 1),
		strings.Replace(good, `1800000000`, `1.8e9`, 1),
		strings.Replace(good, `1800000000`, `"1800000000"`, 1),
		strings.Replace(good, `alice`, `al\u0000ice`, 1),
		good + good,
	} {
		f.Add([]byte(seed))
	}
	issuer := IssuerConfig{Issuer: "https://login.shop.test", Prefix: "shop", Audience: "https://api.shop.test"}
	now := time.Unix(1799999900, 0)
	f.Fuzz(func(t *testing.T, text []byte) {
		answer, err := parseAnswer(text)
		if err != nil {
			return
		}
		p, err := issuer.opaquePrincipal(answer, now)
		if err != nil {
			e, ok := errors.AsType[*trat.Error](err)
			if p != nil || !ok || e.Field == "" || e.Reason != trat.ReasonSubjectTokenInvalid && e.Reason != trat.ReasonSubjectTokenExpired {
				t.Fatalf("%v, %v, want a *trat.Error with a field alone", p, err)
			}
			return
		}
		var said struct {
			Iss *string         `json:"iss"`
			Sub string          `json:"sub"`
			Aud json.RawMessage `json:"aud"`
			Exp int64           `json:"exp"`
		}
		var active map[string]any
		if json.Unmarshal(text, &active) != nil || json.Unmarshal(text, &said) != nil {
			return // names that differ in case only: encoding/json takes them for one
		}
		if _, ok := active["active"].(bool); !ok {
			t.Error("accepted without active")
		}
		if said.Iss != nil && *said.Iss != issuer.Issuer {
			t.Errorf("accepted from issuer %q", *said.Iss)
		}
		var audience []string
		if json.Unmarshal(said.Aud, &audience) != nil {
			audience = []string{strings.Trim(string(said.Aud), `"`)}
		}
		if !strings.Contains(string(said.Aud), `\`) && !slices.Contains(audience, issuer.Audience) {
			t.Errorf("accepted for %s", said.Aud)
		}
		if p.Expiry.Before(now.Add(-issuer.skew())) || !strings.HasPrefix(p.Subject, "shop:") || p.Issuer != issuer.Issuer {
			t.Errorf("principal %+v", p)
		}
	})
}
