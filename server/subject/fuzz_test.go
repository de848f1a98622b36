package subject_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// shapes are seeds that are no good token.
func shapes(f *testing.F, good string) {
	f.Helper()
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		"", ".", "..", "...", good + ".", good + "=", parts[0] + ".." + parts[2], parts[0] + "." + parts[1] + ".",
		b64(`{"alg":"none"}`) + "." + parts[1] + ".",
		b64(`{"alg":"HS256","typ":"at+jwt","kid":"1"}`) + "." + parts[1] + "." + parts[2],
		b64(`{"alg":"ES256","typ":"at+jwt","crit":["x"],"x":1}`) + "." + parts[1] + "." + parts[2],
		b64(`{"alg":"ES256","typ":"at+jwt","b64":false}`) + "." + parts[1] + "." + parts[2],
		parts[0] + "." + b64(`{"aud":[[[[[[[[[[]]]]]]]]]]}`) + "." + parts[2],
		parts[0] + "." + b64(`{"exp":1e400}`) + "." + parts[2],
		`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		f.Add(seed)
	}
}

// checkVerdict holds for whatever is presented: an error is typed and holds no part
// of the token, and only what was signed is accepted.
func checkVerdict(t *testing.T, token string, p *subject.Principal, err error, signed map[string]bool) {
	t.Helper()
	if err == nil {
		if cut := strings.LastIndexByte(token, '.'); cut < 0 || !signed[token[:cut]] {
			t.Fatalf("accepted what was never signed: %q", token)
		}
		return
	}
	var e *trat.Error
	if p != nil || !errors.As(err, &e) {
		t.Fatalf("Verify = %v, %v, want a *trat.Error alone", p, err)
	}
	switch e.Reason {
	case trat.ReasonSubjectTokenInvalid, trat.ReasonSubjectTokenExpired, trat.ReasonSubjectTokenReplayed:
	default:
		t.Fatalf("reason %s for a bad token", e.Reason)
	}
	if e.Field == "" {
		t.Errorf("no field: %v", err)
	}
}

// signedParts are what the signatures of tokens are over.
func signedParts(tokens ...string) map[string]bool {
	parts := make(map[string]bool, len(tokens))
	for _, token := range tokens {
		parts[token[:strings.LastIndexByte(token, '.')]] = true
	}
	return parts
}

func FuzzAccessToken(f *testing.F) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	issuers, err := subject.NewIssuers(subject.IssuersConfig{
		Issuers: []subject.IssuerConfig{loginConfig()}, Transport: newFakeProvider(login, key), Logger: quiet,
	})
	if err != nil {
		f.Fatal(err)
	}
	issuers.Start()
	f.Cleanup(func() { _ = issuers.Close() })
	access, id := must(subject.NewAccessToken(issuers)), must(subject.NewIDToken(issuers))
	goodAccess, goodID := key.jwt("at+jwt", accessClaims(now), nil), key.jwt("JWT", idClaims(now), nil)
	f.Add(goodAccess)
	f.Add(goodID)
	shapes(f, goodAccess)

	f.Fuzz(func(t *testing.T, token string) {
		p, err := access.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
		checkVerdict(t, token, p, err, signedParts(goodAccess))
		p, err = id.Verify(t.Context(), input(trat.TokenTypeIDToken, token))
		checkVerdict(t, token, p, err, signedParts(goodID))
	})
}

func FuzzSelfSigned(f *testing.F) {
	w := newWorkload(f, gateway, "ES256", newECKey())
	good := w.token(w.claims("1"))
	f.Add(good)
	shapes(f, good)
	v := selfSigned(f)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), w.input(token))
		checkVerdict(t, token, p, err, signedParts(good))
	})
}

func FuzzJWTSVID(f *testing.F) {
	key := signingKey{kid: "a", alg: "ES256", private: newECKey()}
	w := newWorkload(f, gateway, "ES256", newECKey())
	good := key.jwt("JWT", svidClaims(), nil)
	f.Add(good)
	shapes(f, good)
	v := withJWTSVIDs(f, authorities(f, key))
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), w.input(token))
		checkVerdict(t, token, p, err, signedParts(good))
	})
}

func FuzzJWT(f *testing.F) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	issuers, err := subject.NewIssuers(subject.IssuersConfig{
		Issuers: []subject.IssuerConfig{jwtConfig()}, Transport: newFakeProvider(login, key), Logger: quiet,
	})
	if err != nil {
		f.Fatal(err)
	}
	issuers.Start()
	f.Cleanup(func() { _ = issuers.Close() })
	v := must(subject.NewJWT(issuers))
	good := key.jwt("", jwtClaims(now), nil)
	f.Add(good)
	shapes(f, good)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), input(trat.TokenTypeJWT, token))
		checkVerdict(t, token, p, err, signedParts(good))
	})
}

func FuzzUnsignedJSON(f *testing.F) {
	for _, seed := range []string{`{"sub":"alice"}`, `{"sub":"alice","exp":1900000000}`, `{"sub":"a","sub":"b"}`, `[]`, `{`, `{"sub":"\ud800"}`} {
		f.Add(seed)
	}
	v := subject.NewUnsignedJSON()
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), input(trat.TokenTypeUnsignedJSON, token))
		if err == nil {
			if !strings.HasPrefix(p.Subject, "unsigned:shop.test/gateway:") {
				t.Errorf("subject %q is outside its namespace", p.Subject)
			}
			return
		}
		checkVerdict(t, token, p, err, nil)
	})
}
