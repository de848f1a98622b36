package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/server/policy"
	subjects "github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	exchangeDomain = "shop.test"
	exchangeIssuer = "https://tts.shop.test"
	providerScope  = "orders:write"
	// accessTokens is how many access tokens take turns.
	accessTokens = 256
)

var (
	exchangeTTS     = spiffeid.RequireFromString("spiffe://shop.test/tts")
	exchangeGateway = spiffeid.RequireFromString("spiffe://shop.test/gateway")
)

// provider is an identity provider with RS256 keys of 2048 bits, as most are.
type provider struct {
	*httptest.Server
	key    *rsa.PrivateKey
	signer jose.Signer
}

func newProvider() (*provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return nil, err
	}
	jwks, err := (&jose.JSONWebKey{Key: key.Public(), KeyID: "1", Algorithm: "RS256", Use: "sig"}).MarshalJSON()
	if err != nil {
		return nil, err
	}
	p := &provider{key: key, signer: signer}
	answer := func(body func() string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body())
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", answer(func() string {
		return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, p.URL, p.URL+"/keys")
	}))
	mux.HandleFunc("GET /keys", answer(func() string { return fmt.Sprintf(`{"keys":[%s]}`, jwks) }))
	p.Server = httptest.NewServer(mux)
	return p, nil
}

// accessToken signs one by RFC 9068.
func (p *provider) accessToken(number int) (string, error) {
	now := time.Now()
	return jwt.Signed(p.signer).Claims(map[string]any{
		"iss": p.URL, "sub": fmt.Sprintf("user-%d", number), "aud": "https://api.shop.test", "client_id": "shop-web",
		"jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "scope": "openid " + providerScope,
	}).Serialize()
}

// exchangeWorld is a token service with everything around it.
type exchangeWorld struct {
	authority *devauthority.Authority
	provider  *provider
	tokens    []string
	addr      string
	close     []func()
}

// newExchangeWorld starts a token service with so many policy rules, which signs with alg.
func newExchangeWorld(rules int, alg trat.Algorithm) (_ *exchangeWorld, err error) {
	w := &exchangeWorld{}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	if w.authority, err = devauthority.New(spiffeid.RequireTrustDomainFromString(exchangeDomain)); err != nil {
		return nil, err
	}
	w.close = append(w.close, func() { _ = w.authority.Close() })
	if w.provider, err = newProvider(); err != nil {
		return nil, err
	}
	w.close = append(w.close, w.provider.Close)
	for i := range accessTokens {
		token, err := w.provider.accessToken(i)
		if err != nil {
			return nil, err
		}
		w.tokens = append(w.tokens, token)
	}
	service, err := w.newService(rules, alg)
	if err != nil {
		return nil, err
	}
	w.addr, err = w.serveTokenService(service.Register)
	return w, err
}

func (w *exchangeWorld) stop() {
	for _, f := range slices.Backward(w.close) {
		f()
	}
}

func (w *exchangeWorld) newService(rules int, alg trat.Algorithm) (*server.Server, error) {
	decided, err := policy.Parse([]byte(policyOf(rules)))
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
	issuers, err := subjects.NewIssuers(subjects.IssuersConfig{
		Issuers: []subjects.IssuerConfig{{
			Issuer: w.provider.URL, Prefix: "login", Audience: "https://api.shop.test", InsecureLoopbackHTTP: true,
		}},
		Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	issuers.Start()
	w.close = append(w.close, func() { _ = issuers.Close() })
	accessToken, err := subjects.NewAccessToken(issuers)
	if err != nil {
		return nil, err
	}
	registry, err := subjects.NewRegistry(accessToken)
	if err != nil {
		return nil, err
	}
	ring, err := activeRing(alg)
	if err != nil {
		return nil, err
	}
	return server.New(server.Config{
		TrustDomain: spiffeid.RequireTrustDomainFromString(exchangeDomain),
		Issuer:      exchangeIssuer,
		Keys:        ring,
		Policy:      func() *policy.Policy { return decided },
		Subjects:    registry,
		Bundles:     w.authority.Source(exchangeTTS),
		Auditor:     auditlog.NewLog(slog.New(slog.NewJSONHandler(sink{}, nil))),
		Logger:      logger,
		// A caller that measures asks as fast as it can.
		RequestsPerSecond: 1e6,
		Burst:             1e6,
	})
}

// activeRing returns a ring whose key signs already.
func activeRing(alg trat.Algorithm) (*keys.Ring, error) {
	start := time.Now()
	ring, err := keys.New(keys.Config{
		Algorithm: alg,
		Generate: func() (crypto.Signer, error) {
			if alg == trat.RS256 {
				return rsa.GenerateKey(rand.Reader, 2048)
			}
			return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		},
		Lead:  time.Millisecond,
		Clock: time.Now,
	})
	if err != nil {
		return nil, err
	}
	for {
		if _, err := ring.Signer(); err == nil {
			return ring, nil
		} else if time.Since(start) > time.Minute {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
}

// sink is a log that is written and lost: slog knows io.Discard and skips it.
type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// serveTokenService serves what register adds over loopback TCP and SPIFFE mTLS.
func (w *exchangeWorld) serveTokenService(register func(grpc.ServiceRegistrar)) (addr string, err error) {
	source := w.authority.Source(exchangeTTS)
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(w.authority.TrustDomain()))
	if err != nil {
		return "", err
	}
	g := grpc.NewServer(grpc.Creds(creds))
	register(g)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(listener) // ends with Stop
	}()
	w.close = append(w.close, func() { g.Stop(); <-done })
	return listener.Addr().String(), nil
}

func (w *exchangeWorld) dialTokenService(addr string) (tratv1.TokenServiceClient, error) {
	source := w.authority.Source(exchangeGateway)
	conn, err := dialTokenService(addr, source, source)
	if err != nil {
		return nil, err
	}
	w.close = append(w.close, func() { _ = conn.Close() })
	return tratv1.NewTokenServiceClient(conn), nil
}

func (w *exchangeWorld) request(i int) *tratv1.ExchangeRequest {
	return exchangeRequest(w.tokens[i%len(w.tokens)])
}

func exchangeRequest(token string) *tratv1.ExchangeRequest {
	return &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           exchangeDomain,
		Scope:              "order.create",
		RequestedTokenType: trat.TokenType,
		SubjectToken:       token,
		SubjectTokenType:   trat.TokenTypeAccessToken,
		RequestContext:     `{"ip":"198.51.100.7","authn":"pwd+otp"}`,
		RequestDetails:     `{"action":"buy","sku":"MSFT-1","quantity":3,"amount_cents":1299}`,
	}
}
