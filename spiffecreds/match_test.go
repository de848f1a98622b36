package spiffecreds_test

import (
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// Covers SEC-08.
func TestMatchPattern(t *testing.T) {
	tests := []struct {
		pattern       string
		match, differ []string
	}{
		{
			"spiffe://shop.test/ns/pay",
			[]string{"spiffe://shop.test/ns/pay"},
			[]string{
				"spiffe://shop.test/ns/payments-evil", "spiffe://shop.test/ns/pay/x", "spiffe://shop.test/ns",
				"spiffe://evil.test/ns/pay", "spiffe://shop.test.evil/ns/pay", "spiffe://shop.test",
			},
		},
		{
			"spiffe://shop.test/ns/*/orders",
			[]string{"spiffe://shop.test/ns/a/orders", "spiffe://shop.test/ns/orders/orders", "spiffe://shop.test/ns/-/orders"},
			[]string{
				"spiffe://shop.test/ns/orders", "spiffe://shop.test/ns/a/b/orders", "spiffe://shop.test/ns/a/orders2",
				"spiffe://shop.test/ns/a/orders/x", "spiffe://shop.test/ns/a", "spiffe://evil.test/ns/a/orders",
				"spiffe://shop.test", "spiffe://shop.test/NS/a/orders",
			},
		},
		{
			"spiffe://shop.test/*",
			[]string{"spiffe://shop.test/a", "spiffe://shop.test/b-c"},
			[]string{"spiffe://shop.test", "spiffe://shop.test/a/b", "spiffe://evil.test/a"},
		},
		{
			"spiffe://shop.test/ns/*/sa/*",
			[]string{"spiffe://shop.test/ns/a/sa/b"},
			[]string{"spiffe://shop.test/ns/a/sa", "spiffe://shop.test/ns/a/sb/b", "spiffe://shop.test/ns/a/sa/b/c"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			match, err := spiffecreds.MatchPattern(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range tt.match {
				if err := match(spiffeid.RequireFromString(id)); err != nil {
					t.Error(err)
				}
			}
			for _, id := range tt.differ {
				if match(spiffeid.RequireFromString(id)) == nil {
					t.Errorf("matches %s", id)
				}
			}
			if match(spiffeid.ID{}) == nil {
				t.Error("matches the zero ID")
			}
		})
	}
}

// Covers SEC-08.
func TestMatchPatternRefusesWhatCannotMatchOrMeansTooMuch(t *testing.T) {
	for _, pattern := range []string{
		"", "*", "/gateway", "shop.test/gateway", "shop.test/*", "https://shop.test/*", "SPIFFE://shop.test/*",
		"spiffe://", "spiffe://*", "spiffe://*/gateway", "spiffe://*.test/gateway", "spiffe://Shop.test/*",
		"spiffe://shop.test", "spiffe://shop.test/", "spiffe://shop.test/*/", "spiffe://shop.test//*",
		"spiffe://shop.test/gate*", "spiffe://shop.test/**", "spiffe://shop.test/../*", "spiffe://shop.test/./*",
		"spiffe://shop.test/%2a/*", "spiffe://shop.test:443/*", "spiffe://user@shop.test/*", "spiffe://shop.test/a?*",
	} {
		if _, err := spiffecreds.MatchPattern(pattern); err == nil {
			t.Errorf("MatchPattern(%q) succeeded", pattern)
		}
	}
}
