//go:build integration

package integration

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"testing"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

// An opaque access token is shown to the provider, by both ways of being its client. It
// is refused as soon as it is revoked: at once without a cache, else when the answer from
// before is no longer used.
//
// Covers TTS-36.
func TestRevokedOpaqueTokenIsRefused(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	keyFile := write(t, secrets, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	secretFile := write(t, secrets, "secret", "tts-secret")
	p := startOIDCProvider(t, key.Public())

	for _, tt := range []struct {
		name        string
		credentials string
		cached      bool
	}{
		{name: "secret, without a cache", credentials: "client_id: tts, client_secret_file: " + secretFile + ", cache: 0s"},
		{name: "private key, with a cache", credentials: "client_id: tts-key, private_key_file: " + keyFile + ", cache: 1s", cached: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tokens := startTokenService(t, serviceOptions{config: fmt.Sprintf(`
subject_tokens:
  issuers:
    - issuer: %s
      prefix: login
      audience: %s
      introspection: {%s}
      insecure_loopback_http: true
`, p.issuer, apiAudience, tt.credentials), policy: orderPolicy, workloads: []string{"gateway"}})
			gateway := tokens.client(t, "gateway")
			user, err := p.login(t.Context(), "shop-phone", "alice", "orders:write")
			if err != nil {
				t.Fatal(err)
			}
			exchange := func(ctx context.Context, token, scope string) (*trat.Token, error) {
				return gateway.Exchange(ctx, client.Request{SubjectToken: token, SubjectTokenType: client.AccessToken, Scope: scope})
			}

			token, err := exchange(t.Context(), user.Access, "order.create")
			wantIssued(t, token, err, "login:alice", "order.create")
			_, err = exchange(t.Context(), user.Access, "order.read")
			wantRefused(t, err, trat.ReasonScopeExceeded)
			_, err = exchange(t.Context(), "nobody-has-issued-this-one-to-anyone", "order.create")
			wantRefused(t, err, trat.ReasonSubjectTokenInvalid)

			if err := p.revoke(t.Context(), "shop-phone", user.Access); err != nil {
				t.Fatal(err)
			}
			if tt.cached {
				tokens.process.waitReady(t, func(ctx context.Context) error {
					if _, err := exchange(ctx, user.Access, "order.create"); err == nil {
						return errors.New("still accepted")
					}
					return nil
				})
			}
			_, err = exchange(t.Context(), user.Access, "order.create")
			wantRefused(t, err, trat.ReasonSubjectTokenInvalid)

			// A JWT of the same provider needs no question.
			web, err := p.login(t.Context(), "shop-web", "bob", "orders:write")
			if err != nil {
				t.Fatal(err)
			}
			token, err = exchange(t.Context(), web.Access, "order.create")
			wantIssued(t, token, err, "login:bob", "order.create")
		})
	}
}
