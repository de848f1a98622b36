package subject_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	login    = "https://login.shop.test"
	audience = "https://api.shop.test"
	clientID = "shop-web"
	tts      = "https://tts.shop.test"
)

var (
	now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

	gateway = spiffeid.RequireFromString("spiffe://shop.test/gateway")

	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// loginConfig trusts the fake provider for both kinds of token.
func loginConfig() subject.IssuerConfig {
	return subject.IssuerConfig{Issuer: login, Prefix: "shop", Audience: audience, ClientID: clientID}
}

// start starts issuers that go by the fixed clock.
func start(t *testing.T, transport http.RoundTripper, issuers ...subject.IssuerConfig) *subject.Issuers {
	t.Helper()
	return startWith(t, subject.IssuersConfig{
		Issuers: issuers, Transport: transport, Clock: func() time.Time { return now }, Logger: quiet,
	})
}

func startWith(t *testing.T, cfg subject.IssuersConfig) *subject.Issuers {
	t.Helper()
	issuers, err := subject.NewIssuers(cfg)
	if err != nil {
		t.Fatal(err)
	}
	issuers.Start()
	t.Cleanup(func() { _ = issuers.Close() })
	return issuers
}

func registry(t *testing.T, verifiers ...subject.Verifier) *subject.Registry {
	t.Helper()
	r, err := subject.NewRegistry(verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// both registers access tokens and ID tokens of issuers.
func both(t *testing.T, issuers *subject.Issuers) *subject.Registry {
	t.Helper()
	return registry(t, must(subject.NewAccessToken(issuers)), must(subject.NewIDToken(issuers)))
}

func input(typ, token string) subject.Input {
	return subject.Input{Token: token, Type: typ, Requester: gateway, Now: now}
}

// accessClaims are those of a good access token at the given time.
func accessClaims(at time.Time) members {
	return members{
		"iss": login, "sub": "alice", "aud": audience, "client_id": clientID,
		"iat": at.Unix(), "exp": at.Add(5 * time.Minute).Unix(), "jti": "at-1", "scope": "openid orders:write",
	}
}

// idClaims are those of a good ID token at the given time.
func idClaims(at time.Time) members {
	return members{
		"iss": login, "sub": "alice", "aud": clientID,
		"iat": at.Unix(), "exp": at.Add(5 * time.Minute).Unix(), "nonce": "n-0S6_WzA2Mj",
	}
}

// secret stands for what no error may show: it is part of each token that tests
// let fail.
const secret = "alice"

func wantError(t *testing.T, p *subject.Principal, err error, reason trat.Reason, field string) {
	t.Helper()
	var e *trat.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want a *trat.Error with %s", err, reason)
	}
	if e.Reason != reason || e.Field != field {
		t.Errorf("error = %v, want reason %s and field %q", e, reason, field)
	}
	if p != nil {
		t.Error("a principal comes with the error")
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("the error holds a part of the token: %v", err)
	}
}
