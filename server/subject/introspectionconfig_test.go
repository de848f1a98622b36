package subject_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/server/subject"
)

func TestBadIntrospectionIsRefused(t *testing.T) {
	type config = subject.IntrospectionConfig
	for _, test := range []struct {
		name        string
		change      func(*config)
		field, says string
	}{
		{"http", func(c *config) { c.Endpoint = "http://login.shop.test/i" }, "Endpoint", "is not https"},
		{"a password", func(c *config) { c.Endpoint = "https://u:p@login.shop.test/i" }, "Endpoint", "has a user or a password"},
		{"no URL", func(c *config) { c.Endpoint = "introspect" }, "Endpoint", "has no host"},
		{"no client", func(c *config) { c.ClientID = "" }, "ClientID", "is required"},
		{"a client without bounds", func(c *config) { c.ClientID = strings.Repeat("c", 1025) }, "ClientID", "longer than"},
		{"no credential", func(c *config) { c.ClientSecret = nil }, "PrivateKey", "is required, or else a client secret"},
		{"an empty secret", func(c *config) { c.ClientSecret = []byte{} }, "PrivateKey", "is required, or else a client secret"},
		{"two credentials", func(c *config) { c.PrivateKey = newECKey() }, "ClientSecret", "beside a private key"},
		{"a secret without bounds", func(c *config) { c.ClientSecret = make([]byte, 1025) }, "ClientSecret", "longer than"},
		{"a key without algorithm", func(c *config) {
			c.ClientSecret, c.PrivateKey = nil, must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
		}, "PrivateKey", "want P-256"},
		{"a weak key", func(c *config) { c.ClientSecret, c.PrivateKey = nil, smallRSAKey() }, "PrivateKey", "want P-256"},
		{"a kid of nothing", func(c *config) { c.KeyID = "1" }, "KeyID", "which is not there"},
		{"a kid without bounds", func(c *config) { c.ClientSecret, c.PrivateKey, c.KeyID = nil, newECKey(), strings.Repeat("k", 256) }, "KeyID", "longer than"},
		{"a timeout below zero", func(c *config) { c.Timeout = -1 }, "Timeout", "want 0 to 5s"},
		{"a timeout above the limit", func(c *config) { c.Timeout = 6 * time.Second }, "Timeout", "want 0 to 5s"},
		{"a TTL below zero", func(c *config) { c.CacheTTL = -2 }, "CacheTTL", "want 0 to 1m0s"},
		{"a TTL above the limit", func(c *config) { c.CacheTTL = time.Minute + 1 }, "CacheTTL", "want 0 to 1m0s"},
		{"nothing to ask about", func(c *config) { c.NoOpaque, c.AllRequesters = true, false }, "JWTs", "must be true"},
		{"no requesters", func(c *config) { c.AllRequesters = false }, "Requesters", "are required, unless"},
		{"all requesters and some", func(c *config) { c.Requesters = []string{gateway.String()} }, "Requesters", "where all workloads are meant"},
		{"all requesters of nothing", func(c *config) { c.JWTs, c.NoOpaque = true, true }, "AllRequesters", "which are refused"},
		{"requesters of nothing", func(c *config) {
			c.JWTs, c.NoOpaque, c.AllRequesters, c.Requesters = true, true, false, []string{gateway.String()}
		}, "Requesters", "which are refused"},
		{"a requester that is no SPIFFE ID", func(c *config) { c.AllRequesters, c.Requesters = false, []string{"gateway"} }, "Requesters", "is not a SPIFFE ID"},
		{"a requester without path", func(c *config) { c.AllRequesters, c.Requesters = false, []string{"spiffe://shop.test"} }, "Requesters", "has no path"},
		{"any trust domain", func(c *config) { c.AllRequesters, c.Requesters = false, []string{"spiffe://*/gateway"} }, "Requesters", "is not a SPIFFE ID"},
		{"a part of a segment", func(c *config) { c.AllRequesters, c.Requesters = false, []string{"spiffe://shop.test/gate*"} }, "Requesters", "is not a SPIFFE ID"},
		{"an empty segment", func(c *config) { c.AllRequesters, c.Requesters = false, []string{"spiffe://shop.test/a//b"} }, "Requesters", "is not a SPIFFE ID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := opaqueConfig()
			test.change(cfg.Introspection)
			_, err := subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}})
			problem, ok := errors.AsType[*subject.IssuerProblem](err)
			if !ok || problem.Field != "Introspection."+test.field || !strings.Contains(problem.Err.Error(), test.says) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("NewIssuers = %v, want %s: %s", err, test.field, test.says)
			}
		})
	}
	t.Run("without Audience", func(t *testing.T) {
		cfg := opaqueConfig()
		cfg.Audience = ""
		if _, err := subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}}); err == nil || !strings.Contains(err.Error(), "Audience: is required") {
			t.Errorf("NewIssuers = %v", err)
		}
	})
	t.Run("all problems at once", func(t *testing.T) {
		cfg := loginConfig()
		cfg.Introspection = &subject.IntrospectionConfig{Endpoint: "x", Timeout: -1, CacheTTL: -2, NoOpaque: true, Requesters: []string{"x"}}
		_, err := subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}})
		if err == nil || strings.Count(err.Error(), "\n") != 7 {
			t.Errorf("NewIssuers = %v, want eight problems", err)
		}
	})
}

func TestBadJWTKindsAreRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*subject.IssuerConfig)
		says   string
	}{
		{"the client as audience", func(c *subject.IssuerConfig) { c.JWTAudience = clientID }, "JWTAudience: is the client ID"},
		{"types of nothing", func(c *subject.IssuerConfig) { c.JWTAudience, c.JWTTypes = "", []string{"job+jwt"} }, "JWTTypes: are those of other JWTs, which are refused"},
		{"the type of access tokens", func(c *subject.IssuerConfig) { c.JWTTypes = []string{"AT+jwt"} }, "is the type of something else"},
		{"the type of TraTs", func(c *subject.IssuerConfig) { c.JWTTypes = []string{"txntoken+jwt"} }, "is the type of something else"},
		{"the type of self-signed tokens", func(c *subject.IssuerConfig) { c.JWTTypes = []string{"trat-subject+jwt"} }, "is the type of something else"},
		{"an empty type", func(c *subject.IssuerConfig) { c.JWTTypes = []string{""} }, "want a media type"},
		{"a full media type", func(c *subject.IssuerConfig) { c.JWTTypes = []string{"application/at+jwt"} }, "want a media type"},
		{"a type with a space", func(c *subject.IssuerConfig) { c.JWTTypes = []string{"job jwt"} }, "want a media type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := jwtConfig()
			test.change(&cfg)
			if _, err := subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}}); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("NewIssuers = %v, want %q", err, test.says)
			}
		})
	}
}

func TestOneWorkloadsOpaqueTokensAreOfOneIssuer(t *testing.T) {
	for _, test := range []struct {
		name       string
		one, other []string
		says       string
	}{
		{"apart", []string{"spiffe://shop.test/a"}, []string{"spiffe://shop.test/b"}, ""},
		{"apart by a segment", []string{"spiffe://shop.test/*/web"}, []string{"spiffe://shop.test/*/jobs", "spiffe://shop.test/*"}, ""},
		{"apart by the trust domain", []string{"spiffe://shop.test/*"}, []string{"spiffe://other.test/*"}, ""},
		{"the same", []string{"spiffe://shop.test/a"}, []string{"spiffe://shop.test/b", "spiffe://shop.test/a"}, "can be the same workload"},
		{"one within the other", []string{"spiffe://shop.test/*/web"}, []string{"spiffe://shop.test/eu/web"}, "can be the same workload"},
		{"crosswise", []string{"spiffe://shop.test/*/web"}, []string{"spiffe://shop.test/eu/*"}, "can be the same workload"},
		{"one without", []string{"spiffe://shop.test/a"}, nil, "are required where several issuers"},
		{"both without", nil, nil, "are required where several issuers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			one, other := opaqueConfig(), opaqueConfig()
			other.Issuer, other.Prefix = "https://other.test", "other"
			one.Introspection.Requesters, other.Introspection.Requesters = test.one, test.other
			one.Introspection.AllRequesters, other.Introspection.AllRequesters = test.one == nil, test.other == nil
			_, err := subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{one, other}})
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("NewIssuers = %v, want %q", err, test.says)
			}
		})
	}
}

func TestAConfigurationPrintsWithoutItsSecret(t *testing.T) {
	cfg := opaqueConfig()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cfg", *cfg.Introspection)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, text := range []string{fmt.Sprintf(verb, *cfg.Introspection), fmt.Sprintf(verb, cfg.Introspection), log.String()} {
			if !strings.Contains(text, resource) || strings.Contains(text, "115 37 99") || strings.Contains(text, resourceSecret) {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
}
