package client_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// offline is a Client whose token service is not there.
func offline(t *testing.T, d *trattest.Domain, svids x509svid.Source) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		Target:      "passthrough:///127.0.0.1:1",
		Issuer:      d.Issuer(),
		ServerID:    d.ID("tts"),
		TrustDomain: d.TrustDomain(),
		SVIDs:       svids,
		Bundles:     d.Source("gateway"),
	}, client.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Covers TTS-13, TTS-14, TTS-15.
func TestSelfSignedSubjectHasItsClaims(t *testing.T) {
	d := trattest.New(t, "shop.test")
	c := offline(t, d, d.Source("gateway"))
	raw, err := c.SignSubject(client.Subject{
		Name:     `cron "nightly"`,
		Claims:   object(t, `{"job":9007199254740993}`),
		Lifetime: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(d.SVID("gateway").PrivateKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	if typ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; typ != "trat-subject+jwt" {
		t.Errorf("typ = %v", typ)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if jti, _ := claims["jti"].(string); len(jti) < 22 {
		t.Errorf("jti = %q, want at least 128 bits", jti)
	}
	delete(claims, "jti")
	want := map[string]any{
		"iss": "spiffe://shop.test/gateway",
		"sub": `cron "nightly"`,
		"aud": d.Issuer(),
		"iat": float64(d.Now().Unix()),
		"exp": float64(d.Now().Unix() + 30),
		"job": float64(9007199254740993),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if job, _ := object(t, string(payload)).Int64("job"); job != 9007199254740993 {
		t.Errorf("job = %d, the integer did not survive", job)
	}
}

func TestSelfSignedSubjectLivesAMinuteAndHasAnIDOfItsOwn(t *testing.T) {
	d := trattest.New(t, "shop.test")
	c := offline(t, d, d.Source("gateway"))
	ids := make(map[string]bool)
	for range 50 {
		raw, err := c.SignSubject(client.Subject{Name: "cron"})
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		claims := object(t, string(jws.UnsafePayloadWithoutVerification()))
		iat, _ := claims.Int64("iat")
		if exp, _ := claims.Int64("exp"); exp-iat != 60 {
			t.Fatalf("lifetime = %d s", exp-iat)
		}
		jti, _ := claims.Text("jti")
		if ids[jti] {
			t.Fatal("jti repeats")
		}
		ids[jti] = true
	}
}

func TestSignSubjectReportsEveryProblem(t *testing.T) {
	d := trattest.New(t, "shop.test")
	c := offline(t, d, d.Source("gateway"))
	_, err := c.SignSubject(client.Subject{
		Claims:   object(t, `{"iss":"x","aud":"x","jti":"x","nbf":1,"iat":1,"exp":1,"sub":"x","own":1}`),
		Lifetime: client.MaxSubjectLifetime + time.Second,
	})
	want := []string{
		"PARAMETER_MISSING sub",
		"PARAMETER_INVALID iss", "PARAMETER_INVALID sub", "PARAMETER_INVALID aud", "PARAMETER_INVALID iat",
		"PARAMETER_INVALID nbf", "PARAMETER_INVALID exp", "PARAMETER_INVALID jti",
		"PARAMETER_INVALID exp",
	}
	if diff := cmp.Diff(want, problems(err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	for _, lifetime := range []time.Duration{-time.Second, 1500 * time.Millisecond} {
		if _, err := c.SignSubject(client.Subject{Name: "cron", Lifetime: lifetime}); !errors.Is(err, trat.ReasonParameterInvalid) {
			t.Errorf("lifetime %s: error = %v", lifetime, err)
		}
	}
}

// svids is a source of one SVID, or of an error.
type svids struct {
	svid *x509svid.SVID
	err  error
}

func (s svids) GetX509SVID() (*x509svid.SVID, error) { return s.svid, s.err }

func TestSignSubjectNeedsAnSVIDThatCanSign(t *testing.T) {
	d := trattest.New(t, "shop.test")
	gone := errors.New("the Workload API is gone")
	_, err := offline(t, d, svids{err: gone}).SignSubject(client.Subject{Name: "cron"})
	if !errors.Is(err, trat.ReasonDependencyUnavailable) || !errors.Is(err, gone) {
		t.Errorf("error = %v", err)
	}
}

func TestSignSubjectSignsWithTheAlgorithmOfTheKey(t *testing.T) {
	d := trattest.New(t, "shop.test")
	p256, errP256 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, errP384 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, errEd := ed25519.GenerateKey(rand.Reader)
	rsaKey, errRSA := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(errP256, errP384, errEd, errRSA); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key crypto.Signer
		alg jose.SignatureAlgorithm // "" for none
	}{
		"P-256":   {p256, jose.ES256},
		"Ed25519": {ed, jose.EdDSA},
		"RSA":     {rsaKey, jose.PS256},
		"P-384":   {p384, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := offline(t, d, svids{svid: &x509svid.SVID{ID: d.ID("gateway"), PrivateKey: test.key}})
			raw, err := c.SignSubject(client.Subject{Name: "cron"})
			if test.alg == "" {
				if !errors.Is(err, trat.ReasonDependencyUnavailable) {
					t.Errorf("error = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{test.alg})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jws.Verify(test.key.Public()); err != nil {
				t.Error(err)
			}
		})
	}
}

// acceptSelfSigned makes f verify self-signed subjects as the real token service does.
func acceptSelfSigned(t *testing.T, f *fakeTTS) {
	t.Helper()
	seen, err := replay.NewMemory(100, f.domain.Now)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := subject.NewSelfSigned(f.domain.Issuer(), seen)
	if err != nil {
		t.Fatal(err)
	}
	f.answer(func(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		peer, _ := spiffecreds.PeerFromContext(ctx)
		principal, err := verifier.Verify(ctx, subject.Input{
			Token: r.GetSubjectToken(), Type: r.GetSubjectTokenType(),
			Requester: peer.ID, RequesterLeaf: peer.Leaf, Now: f.domain.Now(),
		})
		if err != nil {
			return nil, grpcerr.Error(err)
		}
		return respond(f.domain.Raw(trattest.Scope(r.GetScope()), trattest.Subject(principal.Subject)), r.GetScope()), nil
	})
}

// Covers TTS-13, TTS-14, TTS-15.
func TestTokenServiceAcceptsSelfSignedSubjectOnce(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	acceptSelfSigned(t, f)
	c, log := f.ready(t)
	exchange := func() (client.Request, *trat.Token, error) {
		t.Helper()
		raw, err := c.SignSubject(client.Subject{Name: "cron"})
		if err != nil {
			t.Fatal(err)
		}
		r := client.Request{SubjectToken: raw, SubjectTokenType: client.SelfSigned, Scope: "report.make"}
		token, err := c.Exchange(timeout(t), r)
		return r, token, err
	}

	r, token, err := exchange()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := token.Subject(), "self:shop.test/gateway:cron"; got != want {
		t.Errorf("sub = %q, want %q", got, want)
	}
	_, err = c.Exchange(timeout(t), r)
	if !errors.Is(err, trat.ReasonSubjectTokenReplayed) {
		t.Errorf("second use: code %s, error = %v", status.Code(err), err)
	}

	// The connection stays with the key it was made with, and so do the subjects.
	f.domain.RotateSVIDs()
	if _, _, err := exchange(); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	f.stop()
	log.wait(1, watchTrouble)
	f.start()
	log.wait(1, watchTrouble)
	eventually(t, "exchange over a new connection", func() bool {
		_, _, err := exchange()
		return err == nil
	})
}
