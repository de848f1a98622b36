package interceptors

import (
	"fmt"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Covers VER-25.
func TestAccountsOfFailingPeersAreBounded(t *testing.T) {
	var f failures
	f.init()
	now := time.Unix(1_700_000_000, 0)
	td := spiffeid.RequireTrustDomainFromString("shop.test")
	peer := func(i int) spiffeid.ID { return spiffeid.RequireFromPath(td, fmt.Sprintf("/w/%d", i)) }
	exhaust := func(id spiffeid.ID) {
		for range defaultFailureBurst {
			f.charge(id, now)
		}
	}
	for i := range maxFailingPeers + 100 {
		f.charge(peer(i), now)
	}
	if n := len(*f.peers.Load()); n > maxFailingPeers {
		t.Fatalf("%d accounts, at most %d", n, maxFailingPeers)
	}
	// Whoever is forgotten, the one that fails now is limited now.
	exhaust(peer(-1))
	if !f.exhausted(peer(-1), now) || f.exhausted(peer(-2), now) {
		t.Error("the account that counts is not kept")
	}
	// Accounts that have recovered go first.
	now = now.Add(time.Minute)
	exhaust(peer(-3))
	for i := range maxFailingPeers - 1 {
		f.charge(peer(10_000+i), now)
	}
	if !f.exhausted(peer(-3), now) {
		t.Error("an exhausted account was dropped although there were recovered ones")
	}
}
