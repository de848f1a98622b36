package subject

import (
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// Patterns mean here what they mean wherever else workloads are named by one.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"spiffe://shop.test/gateway", "spiffe://shop.test/gateway"},
		{"spiffe://shop.test/ns/*/orders", "spiffe://shop.test/ns/a/orders"},
		{"spiffe://shop.test/*", "spiffe://shop.test/a/b"},
		{"spiffe://shop.test/*/*", "spiffe://shop.test/a/b"},
		{"spiffe://shop.test", "spiffe://shop.test/a"},
		{"spiffe://*/a", "spiffe://shop.test/a"},
		{"spiffe://Shop.test/*", "spiffe://shop.test/a"},
		{"SPIFFE://shop.test/*", "spiffe://shop.test/a"},
		{"spiffe:///*", "spiffe://shop.test/a"},
		{"*", "spiffe://shop.test/a"},
		{"spiffe://shop.test/a*", "spiffe://shop.test/a"},
		{"spiffe://shop.test/../*", "spiffe://shop.test/a"},
		{"spiffe://shop.test/*/", "spiffe://shop.test/a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, workload string) {
		p, err := parsePattern(text)
		matcher, wantErr := spiffecreds.MatchPattern(text)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("parsePattern(%q) = %v, elsewhere %v", text, err, wantErr)
		}
		id, idErr := spiffeid.FromString(workload)
		if err != nil || idErr != nil {
			return
		}
		if got, want := p.meets(strings.Split(id.String(), "/")), matcher(id) == nil; got != want {
			t.Errorf("%q means %q: %t, elsewhere %t", text, id, got, want)
		}
		if !p.meets(p) {
			t.Errorf("%q does not meet itself", text)
		}
	})
}
