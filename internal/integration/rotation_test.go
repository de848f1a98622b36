//go:build integration

package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/grpc-trat/grpc-trat/client"
)

const (
	// exchangers is how many callers there are at a time.
	exchangers = 4
	// rotations is how often the provider changes its keys.
	rotations = 2
	// betweenRotations is more than the ten seconds that tratd lets pass between two
	// fetches for the sake of unknown keys.
	betweenRotations = 11 * time.Second
)

// The hard way to rotate: the new key signs in the moment in which it is published. Under
// load, with a token for each exchange that nobody has seen before, not one exchange
// fails, and a token of the key before goes on being good while that is published.
//
// Covers TTS-18.
func TestProviderRotatesItsKeysUnderLoad(t *testing.T) {
	t.Parallel()
	p := startOIDCProvider(t, newKey(t).Public())
	gateway := startTokenService(t, serviceOptions{config: fmt.Sprintf(`
subject_tokens:
  issuers:
    - issuer: %s
      prefix: login
      audience: %s
      insecure_loopback_http: true
`, p.issuer, apiAudience), policy: orderPolicy, workloads: []string{"gateway"}}).client(t, "gateway")

	old, err := p.machineToken(t.Context(), "billing", "orders:read")
	if err != nil {
		t.Fatal(err)
	}
	load := newLoad(t, p, gateway)
	for range rotations {
		load.waitForMore(t)
		if err := p.operator(t.Context(), "rotate"); err != nil {
			t.Fatal(err)
		}
		load.waitFor(t, betweenRotations)
	}
	token, err := gateway.Exchange(t.Context(), client.Request{
		SubjectToken: old, SubjectTokenType: client.AccessToken, Scope: "order.read",
	})
	wantIssued(t, token, err, "login:billing", "order.read")
	if err := p.operator(t.Context(), "retire"); err != nil {
		t.Fatal(err)
	}
	load.waitForMore(t)

	exchanged, keys := load.stop()
	if keys != rotations+1 {
		t.Errorf("the tokens were signed with %d keys, want %d", keys, rotations+1)
	}
	t.Logf("%d exchanges, none failed", exchanged)
}

// load is callers that fetch access tokens and exchange them, one after the other.
type load struct {
	cancel    context.CancelFunc
	callers   sync.WaitGroup
	exchanged atomic.Int64
	failed    chan struct{} // closed at the first failure, which is reported
	fail      func(error)
	keys      sync.Map // ids of the keys of exchanged tokens
}

func newLoad(t *testing.T, p *provider, gateway *client.Client) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel, failed: make(chan struct{})}
	var once sync.Once
	l.fail = func(err error) {
		once.Do(func() {
			t.Errorf("after %d exchanges: %v", l.exchanged.Load(), err)
			close(l.failed)
		})
	}
	for range exchangers {
		l.callers.Go(func() {
			for ctx.Err() == nil {
				if err := l.exchange(ctx, p, gateway); err != nil && ctx.Err() == nil {
					l.fail(err)
					return
				}
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *load) exchange(ctx context.Context, p *provider, gateway *client.Client) error {
	raw, err := p.machineToken(ctx, "billing", "orders:read")
	if err != nil {
		return fmt.Errorf("no access token: %w", err)
	}
	if _, err := gateway.Exchange(ctx, client.Request{
		SubjectToken: raw, SubjectTokenType: client.AccessToken, Scope: "order.read",
	}); err != nil {
		return err
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	l.keys.Store(parsed.Headers[0].KeyID, true)
	l.exchanged.Add(1)
	return nil
}

// waitFor lets the load go on for a while.
func (l *load) waitFor(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-l.failed:
		t.FailNow()
	}
}

// waitForMore lets it go on until every caller has had several answers.
func (l *load) waitForMore(t *testing.T) {
	t.Helper()
	for goal := l.exchanged.Load() + 10*exchangers; l.exchanged.Load() < goal; {
		l.waitFor(t, pollInterval)
	}
}

// stop ends the load and says how many exchanges there were, and how many keys.
func (l *load) stop() (exchanged int64, keys int) {
	l.cancel()
	l.callers.Wait()
	l.keys.Range(func(any, any) bool { keys++; return true })
	return l.exchanged.Load(), keys
}
