package subject_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// svidClaims are those of a good JWT-SVID.
func svidClaims() members {
	return members{"sub": gateway.String(), "aud": tts, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
}

// authorities is the JWT bundle of shop.test.
func authorities(t testing.TB, keys ...signingKey) *jwtbundle.Bundle {
	t.Helper()
	bundle := jwtbundle.New(gateway.TrustDomain())
	for _, k := range keys {
		if err := bundle.AddJWTAuthority(k.kid, k.private.(crypto.Signer).Public()); err != nil {
			t.Fatal(err)
		}
	}
	return bundle
}

func withJWTSVIDs(t testing.TB, bundles jwtbundle.Source) *subject.SelfSigned {
	t.Helper()
	return withJWTSVIDsFor(t, bundles, subject.OneUse)
}

func withJWTSVIDsFor(t testing.TB, bundles jwtbundle.Source, use subject.JWTSVIDUse) *subject.SelfSigned {
	t.Helper()
	store := must(replay.NewMemory(1000, func() time.Time { return now }))
	return must(subject.NewSelfSigned(tts, store, subject.WithJWTSVIDs(bundles, use)))
}

// Covers TTS-13, TTS-14, TTS-15.
func TestAJWTSVIDNamesTheWorkloadItself(t *testing.T) {
	w := newWorkload(t, gateway, "ES256", newECKey())
	for _, key := range []signingKey{
		{kid: "a", alg: "ES256", private: newECKey()},
		{kid: "b", alg: "RS256", private: rsaKey()},
		{kid: "c", alg: "PS256", private: rsaKey()},
		{kid: "d", alg: "EdDSA", private: newEd25519Key()},
	} {
		for _, typ := range []string{"JWT", "JOSE", ""} {
			t.Run(key.alg+typ, func(t *testing.T) {
				r := registry(t, withJWTSVIDs(t, authorities(t, key)))
				token := key.jwt(typ, edit(svidClaims(), members{"jti": "1"}), nil)
				p, err := r.Verify(t.Context(), w.input(token))
				if err != nil {
					t.Fatal(err)
				}
				if p.Issuer != gateway.String() || p.Subject != "self:shop.test/gateway" || p.ScopeKnown || !p.Expiry.Equal(now.Add(5*time.Minute)) {
					t.Errorf("principal = %+v", p)
				}
			})
		}
	}
	t.Run("beside tokens of its own", func(t *testing.T) {
		r := registry(t, withJWTSVIDs(t, authorities(t)))
		if _, err := r.Verify(t.Context(), w.input(w.token(w.claims("1")))); err != nil {
			t.Error(err)
		}
	})
}

// go-spiffe reads JWT-SVIDs too: what it takes for bad is not accepted here.
func TestAJWTSVIDIsOneForOthersToo(t *testing.T) {
	key := signingKey{kid: "a", alg: "ES256", private: newECKey()}
	at := time.Now()
	claims := edit(svidClaims(), members{"iat": at.Unix(), "exp": at.Add(time.Minute).Unix()})
	token := key.jwt("JWT", claims, nil)
	bundle := authorities(t, key)
	if _, err := jwtsvid.ParseAndValidate(token, bundle, []string{tts}); err != nil {
		t.Fatal(err)
	}
	w := newWorkload(t, gateway, "ES256", newECKey())
	in := w.input(token)
	in.Now = at
	v := must(subject.NewSelfSigned(tts, must(replay.NewMemory(10, nil)), subject.WithJWTSVIDs(bundle, subject.OneUse)))
	if _, err := registry(t, v).Verify(t.Context(), in); err != nil {
		t.Error(err)
	}
}

// Covers TTS-14, TTS-15, TTS-18, TTS-19.
func TestBadJWTSVIDsAreRefused(t *testing.T) {
	key := signingKey{kid: "a", alg: "ES256", private: newECKey()}
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	w := newWorkload(t, gateway, "ES256", newECKey())
	bundle := authorities(t, key, signingKey{kid: "384", private: p384})
	r := registry(t, withJWTSVIDs(t, bundle))
	svid := func(typ string, claims, header members) string {
		return key.jwt(typ, edit(svidClaims(), claims), header)
	}
	forger := signingKey{kid: "a", alg: "ES256", private: newECKey()}
	for _, test := range []struct {
		name, token string
		reason      trat.Reason
		field       string
	}{
		{"without sub", svid("JWT", members{"sub": absent{}}, nil), trat.ReasonSubjectTokenInvalid, "sub"},
		{"without aud", svid("JWT", members{"aud": absent{}}, nil), trat.ReasonSubjectTokenInvalid, "aud"},
		{"without exp", svid("JWT", members{"exp": absent{}}, nil), trat.ReasonSubjectTokenInvalid, "exp"},
		{"another workload's", svid("JWT", members{"sub": "spiffe://shop.test/a"}, nil), trat.ReasonSubjectTokenInvalid, "sub"},
		{"a user's", svid("JWT", members{"sub": "alice"}, nil), trat.ReasonSubjectTokenInvalid, "sub"},
		{"for another service", svid("JWT", members{"aud": "https://other.test"}, nil), trat.ReasonSubjectTokenInvalid, "aud"},
		{"for others too", svid("JWT", members{"aud": []string{tts, "https://other.test"}}, nil), trat.ReasonSubjectTokenInvalid, "aud"},
		{"living too long", svid("JWT", members{"exp": now.Add(5*time.Minute + 31*time.Second).Unix()}, nil), trat.ReasonSubjectTokenInvalid, "exp"},
		{"issued in the future", svid("JWT", members{"iat": now.Add(31 * time.Second).Unix()}, nil), trat.ReasonSubjectTokenInvalid, "iat"},
		{"not yet valid", svid("JWT", members{"nbf": now.Add(31 * time.Second).Unix()}, nil), trat.ReasonSubjectTokenInvalid, "nbf"},
		{"expired", svid("JWT", members{"iat": absent{}, "exp": now.Add(-30 * time.Second).Unix()}, nil), trat.ReasonSubjectTokenExpired, "exp"},
		{"without kid", svid("JWT", nil, members{"kid": absent{}}), trat.ReasonSubjectTokenInvalid, "kid"},
		{"of no authority", svid("JWT", nil, members{"kid": "b"}), trat.ReasonSubjectTokenInvalid, "kid"},
		{"of an authority without algorithm", svid("JWT", nil, members{"kid": "384"}), trat.ReasonSubjectTokenInvalid, "alg"},
		{"with the algorithm of another key", svid("JWT", nil, members{"alg": "RS256"}), trat.ReasonSubjectTokenInvalid, "alg"},
		{"signed by another key", forger.jwt("JWT", svidClaims(), nil), trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"signed by the workload", signingKey{kid: "a", alg: "ES256", private: w.private}.jwt("JWT", svidClaims(), nil), trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"an access token", svid("at+jwt", nil, nil), trat.ReasonSubjectTokenInvalid, "typ"},
		{"a TraT", svid(trat.Type, nil, nil), trat.ReasonSubjectTokenInvalid, "typ"},
		{"one in the place of a token of its own", svid(trat.SubjectType, members{"iss": gateway.String(), "jti": "1", "exp": now.Add(time.Minute).Unix()}, nil), trat.ReasonSubjectTokenInvalid, "subject_token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := r.Verify(t.Context(), w.input(test.token))
			wantError(t, p, err, test.reason, test.field)
		})
	}
	t.Run("no bundle of the trust domain", func(t *testing.T) {
		r := registry(t, withJWTSVIDs(t, jwtbundle.NewSet()))
		p, err := r.Verify(t.Context(), w.input(svid("JWT", nil, nil)))
		wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
	})
	t.Run("presented by another workload", func(t *testing.T) {
		other := newWorkload(t, spiffeid.RequireFromString("spiffe://shop.test/a"), "ES256", newECKey())
		p, err := r.Verify(t.Context(), other.input(svid("JWT", nil, nil)))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "sub")
	})
	t.Run("where they are not turned on", func(t *testing.T) {
		p, err := registry(t, selfSigned(t)).Verify(t.Context(), w.input(svid("JWT", nil, nil)))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "typ")
	})
	t.Run("no refused one is used up", func(t *testing.T) {
		if _, err := r.Verify(t.Context(), w.input(svid("JWT", nil, nil))); err != nil {
			t.Error(err)
		}
	})
}

// Covers TTS-15.
func TestAJWTSVIDIsGoodOnceInWhateverSpelling(t *testing.T) {
	key := signingKey{kid: "a", alg: "ES256", private: newECKey()}
	w := newWorkload(t, gateway, "ES256", newECKey())
	r := registry(t, withJWTSVIDs(t, authorities(t, key)))
	token := key.jwt("JWT", svidClaims(), nil)
	if _, err := r.Verify(t.Context(), w.input(token)); err != nil {
		t.Fatal(err)
	}
	for name, again := range map[string]string{
		"the same":               token,
		"signed once more":       key.jwt("JWT", svidClaims(), nil),
		"the signature's mirror": mirrored(token),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := r.Verify(t.Context(), w.input(again))
			wantError(t, p, err, trat.ReasonSubjectTokenReplayed, "subject_token")
		})
	}
	next := key.jwt("JWT", edit(svidClaims(), members{"iat": now.Add(time.Second).Unix()}), nil)
	if _, err := r.Verify(t.Context(), w.input(next)); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// Covers TTS-13, TTS-15.
func TestAReusableJWTSVIDIsGoodUntilItExpires(t *testing.T) {
	key := signingKey{kid: "a", alg: "ES256", private: newECKey()}
	w := newWorkload(t, gateway, "ES256", newECKey())
	r := registry(t, withJWTSVIDsFor(t, authorities(t, key), subject.Reusable))
	token := key.jwt("JWT", svidClaims(), nil)
	for range 3 {
		if _, err := r.Verify(t.Context(), w.input(token)); err != nil {
			t.Fatal(err)
		}
	}
	late := w.input(token)
	late.Now = now.Add(5*time.Minute + subject.DefaultSkew)
	p, err := r.Verify(t.Context(), late)
	wantError(t, p, err, trat.ReasonSubjectTokenExpired, "exp")

	thief := newWorkload(t, spiffeid.RequireFromString("spiffe://shop.test/a"), "ES256", newECKey())
	p, err = r.Verify(t.Context(), thief.input(token))
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "sub")

	own := w.token(w.claims("1"))
	if _, err := r.Verify(t.Context(), w.input(own)); err != nil {
		t.Fatal(err)
	}
	p, err = r.Verify(t.Context(), w.input(own))
	wantError(t, p, err, trat.ReasonSubjectTokenReplayed, "jti")
}

// mirrored returns token with the other ES256 signature that follows from its own.
func mirrored(token string) string {
	cut := strings.LastIndexByte(token, '.')
	signature := must(base64.RawURLEncoding.DecodeString(token[cut+1:]))
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:cut+1] + base64.RawURLEncoding.EncodeToString(signature)
}

func TestOptionsOfSelfSignedTokensAreChecked(t *testing.T) {
	_, err := subject.NewSelfSigned("", &recorder{}, nil, subject.WithJWTSVIDs(nil, 0))
	for _, says := range []string{"audience", "option", "source of bundles", "OneUse or Reusable"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("NewSelfSigned = %v, want %q", err, says)
		}
	}
}
