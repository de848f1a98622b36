package policy

import (
	"fmt"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func pattern(t *testing.T, text string) spiffecreds.Pattern {
	t.Helper()
	p, err := spiffecreds.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLookUpDoesNotTouchTheRulesOfOtherRequesters(t *testing.T) {
	var x index
	add := func(text string) { x.add(&rule{name: text, requester: pattern(t, text)}) }
	for i := range 1000 {
		add(fmt.Sprintf("spiffe://shop.test/ns/%d/gateway", i))
		add(fmt.Sprintf("spiffe://shop.test/ns/*/service-%d", i))
		add(fmt.Sprintf("spiffe://%d.test/ns/7/gateway", i))
	}
	add("spiffe://shop.test/*/7/gateway")

	const requester = "spiffe://shop.test/ns/7/gateway"
	touched := 0
	for range x.overlapping(pattern(t, requester).Segments()) {
		touched++
	}
	found := x.match(spiffeid.RequireFromString(requester))
	if len(found) != 2 || touched != 2 {
		t.Errorf("found %d rules by touching %d, want the exact one and the pattern", len(found), touched)
	}
}

func TestThePatternHasTheLastWord(t *testing.T) {
	x := index{root: node{children: map[string]*node{
		"shop.test": {children: map[string]*node{
			"gateway": {rules: []*rule{{requester: pattern(t, "spiffe://shop.test/web")}}},
		}},
	}}}
	if found := x.match(spiffeid.RequireFromString("spiffe://shop.test/gateway")); len(found) != 0 {
		t.Errorf("found %d rules that are for others", len(found))
	}
}
