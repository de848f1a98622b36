package subject_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestBadIssuersAreRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*subject.IssuersConfig)
		says   string
	}{
		{"none", func(c *subject.IssuersConfig) { c.Issuers = nil }, "no issuers"},
		{"no issuer", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer = "" }, "Issuer: is required"},
		{"no URL", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer = "://" }, "Issuer: not a URL"},
		{"no host", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer = "https://:443" }, "Issuer: has no host"},
		{"http", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer = "http://login.shop.test" }, "Issuer: is not https"},
		{"http on the loopback interface", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer = "http://127.0.0.1:8080" }, "InsecureLoopbackHTTP: must be true"},
		{"http elsewhere with InsecureLoopbackHTTP", func(c *subject.IssuersConfig) {
			c.Issuers[0].Issuer, c.Issuers[0].InsecureLoopbackHTTP = "http://127.0.0.1.evil.test", true
		}, "Issuer: is not https"},
		{"a file", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer = "file://localhost/etc" }, "Issuer: is not https"},
		{"a password", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer = "https://u:p@login.shop.test" }, "Issuer: has a user or a password"},
		{"a query", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer += "?" }, "Issuer: has a query"},
		{"a fragment", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer += "#x" }, "Issuer: has a fragment"},
		{"too long", func(c *subject.IssuersConfig) { c.Issuers[0].Issuer += strings.Repeat("/x", 1024) }, "Issuer: longer than"},
		{"no prefix", func(c *subject.IssuersConfig) { c.Issuers[0].Prefix = "" }, "Prefix: want 1 to 32"},
		{"a reserved prefix", func(c *subject.IssuersConfig) { c.Issuers[0].Prefix = "self" }, "Prefix: is reserved"},
		{"no recipient", func(c *subject.IssuersConfig) { c.Issuers[0].Audience, c.Issuers[0].ClientID = "", "" }, "Audience: is required for access tokens"},
		{"HMAC", func(c *subject.IssuersConfig) { c.Issuers[0].Algorithms = []trat.Algorithm{"HS256"} }, `"HS256" is not one of`},
		{"none", func(c *subject.IssuersConfig) { c.Issuers[0].Algorithms = []trat.Algorithm{"none"} }, `"none" is not one of`},
		{"a skew below zero", func(c *subject.IssuersConfig) { c.Issuers[0].Skew = -1 }, "Skew: want 0 to 1m0s"},
		{"a skew above the limit", func(c *subject.IssuersConfig) { c.Issuers[0].Skew = 61 * time.Second }, "Skew: want 0 to 1m0s"},
		{"the same issuer twice", func(c *subject.IssuersConfig) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, "is there twice"},
		{"a prefix twice", func(c *subject.IssuersConfig) {
			other := c.Issuers[0]
			other.Issuer = "https://other.test"
			c.Issuers = append(c.Issuers, other)
		}, `Prefix: "shop" is that of another issuer`},
		{"a refresh without pause", func(c *subject.IssuersConfig) { c.RefreshInterval = 1 }, "RefreshInterval is below 1s"},
		{"keys that are stale before they are refreshed", func(c *subject.IssuersConfig) { c.MaxStale = time.Minute }, "MaxStale is below twice RefreshInterval"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := subject.IssuersConfig{Issuers: []subject.IssuerConfig{loginConfig()}}
			test.change(&cfg)
			if i, err := subject.NewIssuers(cfg); i != nil || err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("NewIssuers = %v, want %q", err, test.says)
			}
		})
	}
}

func TestAllProblemsOfIssuersAreReportedAtOnce(t *testing.T) {
	_, err := subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{{}, {Issuer: "x"}}, MaxStale: -1})
	if err == nil || strings.Count(err.Error(), "\n") < 6 {
		t.Errorf("NewIssuers = %v, want at least seven problems", err)
	}
}

// Covers TTS-18.
func TestKeysAreFoundOverTheNetwork(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	for _, test := range []struct {
		name   string
		path   string
		change func(*subject.IssuerConfig)
	}{
		{"by OpenID discovery", "", nil},
		{"by OpenID discovery below a path", "/tenant", nil},
		{"by OpenID discovery below a path with a slash", "/tenant/", nil},
		{"by OAuth metadata", "", func(c *subject.IssuerConfig) { c.OAuthMetadata = true }},
		{"by OAuth metadata of a path", "/tenant", func(c *subject.IssuerConfig) { c.OAuthMetadata = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			provider := newFakeProvider("", key)
			transport := provider.serveTLS(t)
			base := provider.issuer
			provider.issuer += test.path
			provider.lie(jsonDocument(members{"issuer": provider.issuer, "jwks_uri": base + "/keys"}), nil)
			cfg := loginConfig()
			cfg.Issuer = provider.issuer
			if test.change != nil {
				test.change(&cfg)
			}
			issuers := start(t, transport, cfg)
			token := key.jwt("at+jwt", edit(accessClaims(now), members{"iss": cfg.Issuer}), nil)
			if _, err := both(t, issuers).Verify(t.Context(), input(trat.TokenTypeAccessToken, token)); err != nil {
				t.Error(err)
			}
			if err := issuers.Ready(); err != nil {
				t.Errorf("Ready = %v", err)
			}
		})
	}
}

func TestHTTPOnTheLoopbackInterfaceIsAChoice(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	provider := newFakeProvider("", key)
	provider.servePlain(t)
	cfg := loginConfig()
	cfg.Issuer, cfg.InsecureLoopbackHTTP = provider.issuer, true
	r := both(t, start(t, nil, cfg)) // by the transport of its own
	token := key.jwt("at+jwt", edit(accessClaims(now), members{"iss": cfg.Issuer}), nil)
	if _, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token)); err != nil {
		t.Error(err)
	}
}

func TestAProviderWithAnUnknownCertificateIsNotBelieved(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	provider := newFakeProvider("", key)
	provider.serveTLS(t)
	cfg := loginConfig()
	cfg.Issuer = provider.issuer
	r := both(t, start(t, nil, cfg)) // by the certificate authorities of the system
	token := key.jwt("at+jwt", edit(accessClaims(now), members{"iss": cfg.Issuer}), nil)
	p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
	wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
	if n := provider.metadataFetches.Load(); n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
}

func TestWithoutStartThereAreNoKeys(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	provider := newFakeProvider(login, key)
	issuers := must(subject.NewIssuers(subject.IssuersConfig{
		Issuers: []subject.IssuerConfig{loginConfig()}, Transport: provider, Clock: func() time.Time { return now },
	}))
	token := key.jwt("at+jwt", accessClaims(now), nil)
	p, err := both(t, issuers).Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
	wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
	wantError(t, nil, issuers.Ready(), trat.ReasonDependencyUnavailable, "")
	if err := issuers.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	issuers.Start() // after Close: nothing
	wantError(t, nil, issuers.Ready(), trat.ReasonDependencyUnavailable, "")
	if n := provider.metadataFetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

var _ http.RoundTripper = (*fakeProvider)(nil)
