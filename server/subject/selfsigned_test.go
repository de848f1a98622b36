package subject_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// leaf makes an X.509-SVID; who signed it does not matter here.
func leaf(t testing.TB, id spiffeid.ID, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(time.Hour),
		URIs:         []*url.URL{id.URL()},
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return must(x509.ParseCertificate(der))
}

// workload signs subject tokens with the key of its SVID.
type workload struct {
	signingKey
	id   spiffeid.ID
	leaf *x509.Certificate
}

func newWorkload(t testing.TB, id spiffeid.ID, alg string, key crypto.Signer) workload {
	t.Helper()
	return workload{signingKey{alg: alg, private: key}, id, leaf(t, id, key)}
}

func (w workload) claims(jti string) members {
	return members{
		"iss": w.id.String(), "sub": "alice", "aud": tts,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": jti,
	}
}

func (w workload) input(token string) subject.Input {
	return subject.Input{Token: token, Type: trat.TokenTypeSelfSigned, Requester: w.id, RequesterLeaf: w.leaf, Now: now}
}

func (w workload) token(claims members) string { return w.jwt(trat.SubjectType, claims, nil) }

func selfSigned(t testing.TB) *subject.SelfSigned {
	t.Helper()
	store, err := replay.NewMemory(1000, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	v, err := subject.NewSelfSigned(tts, store)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Covers TTS-13, TTS-14, TTS-15.
func TestASelfSignedTokenNamesASubjectOfTheRequester(t *testing.T) {
	r := registry(t, selfSigned(t))
	for i, w := range []workload{
		newWorkload(t, gateway, "ES256", newECKey()),
		newWorkload(t, gateway, "EdDSA", newEd25519Key()),
		newWorkload(t, gateway, "RS256", rsaKey()),
		newWorkload(t, gateway, "PS256", rsaKey()),
	} {
		t.Run(w.alg, func(t *testing.T) {
			claims := edit(w.claims(fmt.Sprint(i)), members{"batch": 7})
			p, err := r.Verify(t.Context(), w.input(w.token(claims)))
			if err != nil {
				t.Fatal(err)
			}
			if p.Issuer != gateway.String() || p.Subject != "self:shop.test/gateway:alice" || p.ScopeKnown || !p.Expiry.Equal(now.Add(time.Minute)) {
				t.Errorf("principal = %+v", p)
			}
			if batch, ok := p.Claims.Int64("batch"); !ok || batch != 7 {
				t.Error("further claims are lost")
			}
		})
	}
}

// Covers TTS-13, TTS-14, TTS-15, TTS-18, TTS-19.
func TestBadSelfSignedTokensAreRefused(t *testing.T) {
	r := registry(t, selfSigned(t))
	w := newWorkload(t, gateway, "ES256", newECKey())
	for _, test := range []struct {
		name   string
		claims members
		reason trat.Reason
		field  string
	}{
		{"without iss", members{"iss": absent{}}, trat.ReasonSubjectTokenInvalid, "iss"},
		{"without sub", members{"sub": absent{}}, trat.ReasonSubjectTokenInvalid, "sub"},
		{"without aud", members{"aud": absent{}}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"without iat", members{"iat": absent{}}, trat.ReasonSubjectTokenInvalid, "iat"},
		{"without exp", members{"exp": absent{}}, trat.ReasonSubjectTokenInvalid, "exp"},
		{"without jti", members{"jti": absent{}}, trat.ReasonSubjectTokenInvalid, "jti"},
		{"another workload's", members{"iss": "spiffe://shop.test/a"}, trat.ReasonSubjectTokenInvalid, "iss"},
		{"for another service", members{"aud": "https://other.test"}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"for others too", members{"aud": []string{tts, "https://other.test"}}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"issued too long ago", members{"iat": now.Add(-61 * time.Second).Unix()}, trat.ReasonSubjectTokenInvalid, "iat"},
		{"issued in the future", members{"iat": now.Add(61 * time.Second).Unix(), "exp": now.Add(2 * time.Minute).Unix()}, trat.ReasonSubjectTokenInvalid, "iat"},
		{"living too long", members{"exp": now.Add(5*time.Minute + time.Second).Unix()}, trat.ReasonSubjectTokenInvalid, "exp"},
		{"expired", members{"iat": now.Add(-50 * time.Second).Unix(), "exp": now.Add(-30 * time.Second).Unix()}, trat.ReasonSubjectTokenExpired, "exp"},
		{"a jti that is too long", members{"jti": strings.Repeat("j", 129)}, trat.ReasonSubjectTokenInvalid, "jti"},
		{"a jti that is empty", members{"jti": ""}, trat.ReasonSubjectTokenInvalid, "jti"},
		{"a sub that is empty", members{"sub": ""}, trat.ReasonSubjectTokenInvalid, "sub"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := r.Verify(t.Context(), w.input(w.token(edit(w.claims("bad"), test.claims))))
			wantError(t, p, err, test.reason, test.field)
		})
	}

	other := signingKey{alg: "ES256", private: newECKey()}
	for _, test := range []struct {
		name, token, field string
	}{
		{"another key", other.jwt(trat.SubjectType, w.claims("bad"), nil), "subject_token"},
		{"another type", w.jwt("JWT", w.claims("bad"), nil), "typ"},
		{"no type", w.jwt("", w.claims("bad"), nil), "typ"},
		{"a TraT's type", w.jwt(trat.Type, w.claims("bad"), nil), "typ"},
		{"the algorithm of another key type", w.jwt(trat.SubjectType, w.claims("bad"), members{"alg": "EdDSA"}), "alg"},
		{"a certificate of its own", w.jwt(trat.SubjectType, w.claims("bad"), members{"x5c": []string{"MA=="}}), "x5c"},
		{"no JWT", "alice", "subject_token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := r.Verify(t.Context(), w.input(test.token))
			wantError(t, p, err, trat.ReasonSubjectTokenInvalid, test.field)
		})
	}
	t.Run("no refused token has used up its jti", func(t *testing.T) {
		if _, err := r.Verify(t.Context(), w.input(w.token(w.claims("bad")))); err != nil {
			t.Error(err)
		}
	})
}

// Covers TTS-15.
func TestASelfSignedTokenOfAnotherWorkloadIsRefused(t *testing.T) {
	r := registry(t, selfSigned(t))
	a := newWorkload(t, spiffeid.RequireFromString("spiffe://shop.test/a"), "ES256", newECKey())
	b := newWorkload(t, spiffeid.RequireFromString("spiffe://shop.test/b"), "ES256", newECKey())

	stolen := b.input(a.token(a.claims("1")))
	p, err := r.Verify(t.Context(), stolen)
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "iss")

	posing := b.input(b.token(edit(b.claims("1"), members{"iss": a.id.String()})))
	p, err = r.Verify(t.Context(), posing)
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "iss")

	renamed := b.input(a.token(edit(a.claims("1"), members{"iss": b.id.String()})))
	p, err = r.Verify(t.Context(), renamed)
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
}

// Covers TTS-15.
func TestASelfSignedTokenIsGoodOnce(t *testing.T) {
	r := registry(t, selfSigned(t))
	w := newWorkload(t, gateway, "ES256", newECKey())
	token := w.token(w.claims("once"))
	if _, err := r.Verify(t.Context(), w.input(token)); err != nil {
		t.Fatal(err)
	}
	p, err := r.Verify(t.Context(), w.input(token))
	wantError(t, p, err, trat.ReasonSubjectTokenReplayed, "jti")

	again := w.token(edit(w.claims("once"), members{"sub": "bob"}))
	p, err = r.Verify(t.Context(), w.input(again))
	wantError(t, p, err, trat.ReasonSubjectTokenReplayed, "jti")

	other := newWorkload(t, spiffeid.RequireFromString("spiffe://shop.test/other"), "ES256", newECKey())
	if _, err := r.Verify(t.Context(), other.input(other.token(other.claims("once")))); err != nil {
		t.Errorf("another workload's jti of the same text: %v", err)
	}
}

// Covers TTS-15.
func TestOfConcurrentUsesOfASelfSignedTokenOneSucceeds(t *testing.T) {
	r := registry(t, selfSigned(t))
	w := newWorkload(t, gateway, "ES256", newECKey())
	token := w.token(w.claims("race"))
	var (
		wg   sync.WaitGroup
		good atomic.Int32
	)
	for range 50 {
		wg.Go(func() {
			_, err := r.Verify(t.Context(), w.input(token))
			if reason, _ := trat.ReasonOf(err); err != nil && reason != trat.ReasonSubjectTokenReplayed {
				t.Errorf("error = %v", err)
			}
			if err == nil {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if n := good.Load(); n != 1 {
		t.Errorf("%d uses succeeded, want 1", n)
	}
}

// recorder is a replay store that remembers the last expiry and returns err.
type recorder struct {
	expiry time.Time
	err    error
}

func (r *recorder) Mark(_ context.Context, _, _ string, expiry time.Time) (bool, error) {
	r.expiry = expiry
	return r.err == nil, r.err
}

// Covers TTS-15.
func TestAJTIIsRememberedAsLongAsItsTokenIsGood(t *testing.T) {
	store := &recorder{}
	r := registry(t, must(subject.NewSelfSigned(tts, store)))
	w := newWorkload(t, gateway, "ES256", newECKey())
	for name, test := range map[string]struct {
		iat, exp time.Time
		until    time.Time // the token is good before this
	}{
		"until iat is too long ago":  {now, now.Add(5 * time.Minute), now.Add(60 * time.Second)},
		"until it has expired":       {now, now.Add(time.Second), now.Add(31 * time.Second)},
		"issued a little in advance": {now.Add(50 * time.Second), now.Add(5 * time.Minute), now.Add(110 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			claims := edit(w.claims("1"), members{"iat": test.iat.Unix(), "exp": test.exp.Unix()})
			if _, err := r.Verify(t.Context(), w.input(w.token(claims))); err != nil {
				t.Fatal(err)
			}
			if !store.expiry.After(test.until) {
				t.Errorf("jti is remembered until %s, token is good until %s", store.expiry, test.until)
			}
		})
	}
	for _, failure := range []error{replay.ErrFull, errors.New("connection refused")} {
		store.err = failure
		p, err := r.Verify(t.Context(), w.input(w.token(w.claims("1"))))
		wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
		if !errors.Is(err, failure) {
			t.Errorf("error = %v, want it to wrap %v", err, failure)
		}
	}
}

func TestAWorkloadThatSignsTooManyTokensHurtsItselfOnly(t *testing.T) {
	store := must(replay.NewMemory(10, func() time.Time { return now }))
	r := registry(t, must(subject.NewSelfSigned(tts, store)))
	rogue := newWorkload(t, spiffeid.RequireFromString("spiffe://shop.test/rogue"), "ES256", newECKey())
	for i := range 5 {
		if _, err := r.Verify(t.Context(), rogue.input(rogue.token(rogue.claims(fmt.Sprint(i))))); err != nil {
			t.Fatal(err)
		}
	}
	p, err := r.Verify(t.Context(), rogue.input(rogue.token(rogue.claims("one more"))))
	wantError(t, p, err, trat.ReasonRateLimited, "")

	w := newWorkload(t, gateway, "ES256", newECKey())
	if _, err := r.Verify(t.Context(), w.input(w.token(w.claims("1")))); err != nil {
		t.Errorf("another workload is refused: %v", err)
	}
}

func TestASelfSignedTokenNeedsTheRequestersCertificate(t *testing.T) {
	r := registry(t, selfSigned(t))
	w := newWorkload(t, gateway, "ES256", newECKey())
	for name, certificate := range map[string]*x509.Certificate{
		"none":               nil,
		"another workload's": leaf(t, spiffeid.RequireFromString("spiffe://shop.test/other"), newECKey()),
	} {
		t.Run(name, func(t *testing.T) {
			in := w.input(w.token(w.claims("1")))
			in.RequesterLeaf = certificate
			p, err := r.Verify(t.Context(), in)
			wantError(t, p, err, trat.ReasonInternal, "")
		})
	}
	t.Run("a key that no algorithm is for", func(t *testing.T) {
		p384 := newWorkload(t, gateway, "ES256", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)))
		in := p384.input(w.token(w.claims("1")))
		p, err := r.Verify(t.Context(), in)
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "alg")
	})
}

func TestNewSelfSignedNeedsBothArguments(t *testing.T) {
	_, err := subject.NewSelfSigned("", nil)
	if err == nil || !strings.Contains(err.Error(), "audience") || !strings.Contains(err.Error(), "store") {
		t.Errorf("NewSelfSigned = %v, want both problems", err)
	}
}
