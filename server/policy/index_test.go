package policy

import (
	"fmt"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

func TestLookUpDoesNotTouchTheRulesOfOtherRequesters(t *testing.T) {
	var (
		x       index
		touched int
	)
	add := func(pattern string) {
		x.add(&rule{name: pattern, requester: requester{
			segments: segments(pattern),
			matches:  func(spiffeid.ID) error { touched++; return nil },
		}})
	}
	for i := range 1000 {
		add(fmt.Sprintf("spiffe://shop.test/ns/%d/gateway", i))
		add(fmt.Sprintf("spiffe://shop.test/ns/*/service-%d", i))
		add(fmt.Sprintf("spiffe://%d.test/ns/7/gateway", i))
	}
	add("spiffe://shop.test/*/7/gateway")

	found := x.match(spiffeid.RequireFromString("spiffe://shop.test/ns/7/gateway"))
	if len(found) != 2 || touched != 2 {
		t.Errorf("found %d rules by touching %d, want the exact one and the pattern", len(found), touched)
	}
}

func TestTheMatcherHasTheLastWord(t *testing.T) {
	var x index
	x.add(&rule{requester: requester{
		segments: segments("spiffe://shop.test/gateway"),
		matches:  func(spiffeid.ID) error { return fmt.Errorf("no") },
	}})
	if found := x.match(spiffeid.RequireFromString("spiffe://shop.test/gateway")); len(found) != 0 {
		t.Errorf("found %d rules that their matcher refuses", len(found))
	}
}
