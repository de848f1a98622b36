package interceptors_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// countingKeys counts how often a verification got as far as its key, which is the
// step before the signature operation.
type countingKeys struct {
	trat.KeySet
	asked atomic.Int64
}

func (k *countingKeys) Key(kid string) (*trat.Key, error) {
	k.asked.Add(1)
	return k.KeySet.Key(kid)
}

// startCounted serves a guard whose key lookups are counted.
func startCounted(t *testing.T, d *trattest.Domain, opts ...interceptors.ServerOption) (addr string, keys *countingKeys) {
	t.Helper()
	keys = &countingKeys{KeySet: d.KeySet()}
	verifier, err := trat.NewVerifier(domainName, d.Issuer(), keys, trat.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	cfg := serverConfig(d)
	cfg.Verifier = verifier
	opts = append([]interceptors.ServerOption{interceptors.WithClock(d.Now), interceptors.WithLogger(quiet())}, opts...)
	g, err := interceptors.NewServer(cfg, anyScope(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return serveGuarded(t, d, g, &backend{}), keys
}

// Covers VER-25.
func TestGarbageCostsNoSignatureOperation(t *testing.T) {
	d := trattest.New(t, domainName)
	addr, keys := startCounted(t, d)
	flooding := dialAs(t, d, "billing", addr)
	good := dialRaw(t, d, addr)
	const flood = 1000
	var malformed, limited int
	for range flood {
		err := callUnary(withToken(callContext(t), d.Broken(trattest.DuplicateClaim)), flooding)
		switch reason, _ := interceptors.ReasonFrom(err); reason {
		case trat.ReasonTxnTokenMalformed:
			malformed++
		case trat.ReasonRateLimited:
			limited++
		default:
			t.Fatalf("reason %q: %v", reason, err)
		}
	}
	if malformed != 100 || limited != flood-100 {
		t.Errorf("%d were looked at and %d limited, want 100 and %d", malformed, limited, flood-100)
	}
	if n := keys.asked.Load(); n != 0 {
		t.Errorf("%d signature operations for garbage", n)
	}
	// The peer beside it notices nothing.
	for range 200 {
		if err := callUnary(withToken(callContext(t), d.Raw()), good); err != nil {
			t.Fatal(err)
		}
	}
}

// Covers VER-25.
func TestForgedTokensAreLimitedPerPeer(t *testing.T) {
	d := trattest.New(t, domainName)
	addr, keys := startCounted(t, d, interceptors.WithFailureLimit(2, 3))
	forger, other := dialAs(t, d, "billing", addr), dialRaw(t, d, addr)
	owned := trattest.Requester(d.ID("billing").String())
	forge := func() error { return callBidi(withToken(callContext(t), d.Broken(trattest.Forged)), forger) }
	for range 3 {
		wantRefusal(t, forge(), trat.ReasonTxnTokenInvalid)
	}
	for range 3 {
		wantRefusal(t, forge(), trat.ReasonRateLimited)
	}
	if n := keys.asked.Load(); n != 3 {
		t.Errorf("%d signature operations, want 3", n)
	}
	// Its good tokens wait too, for as long as the allowance says and no longer.
	wantRefusal(t, callUnary(withToken(callContext(t), d.Raw(owned)), forger), trat.ReasonRateLimited)
	if err := callUnary(withToken(callContext(t), d.Raw()), other); err != nil {
		t.Errorf("another peer: %v", err)
	}
	d.Advance(500 * time.Millisecond)
	for range 20 { // good tokens use nothing up
		if err := callUnary(withToken(callContext(t), d.Raw(owned)), forger); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, forge(), trat.ReasonTxnTokenInvalid)
	wantRefusal(t, forge(), trat.ReasonRateLimited)
}

// Covers VER-25.
func TestExpiredTokensDoNotUseUpTheAllowance(t *testing.T) {
	d := trattest.New(t, domainName)
	addr, _ := startCounted(t, d, interceptors.WithFailureLimit(1, 1))
	client := dialRaw(t, d, addr)
	for _, flaw := range []trattest.Flaw{trattest.Expired, trattest.WrongAudience} {
		for range 5 {
			wantRefusal(t, callUnary(withToken(callContext(t), d.Broken(flaw)), client), flaw.Reason())
		}
	}
	for range 5 {
		wantRefusal(t, callUnary(callContext(t), client), trat.ReasonTxnTokenMissing)
	}
	if err := callUnary(withToken(callContext(t), d.Raw()), client); err != nil {
		t.Error(err)
	}
}
