package spiffecreds_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func mustPattern(t testing.TB, text string) spiffecreds.Pattern {
	t.Helper()
	p, err := spiffecreds.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Covers SEC-08.
func TestPatternsOverlapIfOneWorkloadCanBeOfBoth(t *testing.T) {
	for _, test := range []struct {
		one, other string
		want       bool
	}{
		{"spiffe://shop.test/a", "spiffe://shop.test/a", true},
		{"spiffe://shop.test/a", "spiffe://shop.test/b", false},
		{"spiffe://shop.test/a", "spiffe://shop.test/a/b", false},
		{"spiffe://shop.test/a", "spiffe://other.test/a", false},
		{"spiffe://shop.test/*", "spiffe://shop.test/a", true},
		{"spiffe://shop.test/*", "spiffe://other.test/*", false},
		{"spiffe://shop.test/*", "spiffe://shop.test/*/*", false},
		{"spiffe://shop.test/*/web", "spiffe://shop.test/eu/*", true},
		{"spiffe://shop.test/*/web", "spiffe://shop.test/eu/jobs", false},
		{"spiffe://shop.test/eu/*/a", "spiffe://shop.test/*/web/*", true},
	} {
		one, other := mustPattern(t, test.one), mustPattern(t, test.other)
		if one.Overlaps(other) != test.want || other.Overlaps(one) != test.want {
			t.Errorf("%s and %s: overlap %t and %t, want %t", one, other, one.Overlaps(other), other.Overlaps(one), test.want)
		}
	}
}

func TestZeroPatternIsNobody(t *testing.T) {
	var zero spiffecreds.Pattern
	all := mustPattern(t, "spiffe://shop.test/*")
	if !zero.IsZero() || all.IsZero() || zero.Match(spiffeid.ID{}) || zero.Match(spiffeid.RequireFromString("spiffe://shop.test/a")) ||
		zero.Overlaps(zero) || zero.Overlaps(all) || all.Overlaps(zero) || zero.String() != "" || zero.Segments() != nil {
		t.Errorf("the zero pattern %q describes somebody", zero)
	}
}

func TestPatternComesApart(t *testing.T) {
	p := mustPattern(t, "spiffe://shop.test/ns/*/orders")
	if p.TrustDomain().Name() != "shop.test" || !slices.Equal(p.Segments(), []string{"shop.test", "ns", spiffecreds.AnySegment, "orders"}) {
		t.Errorf("%s comes apart into %s and %q", p, p.TrustDomain(), p.Segments())
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p, id := mustPattern(t, "spiffe://shop.test/ns/*/orders"), spiffeid.RequireFromString("spiffe://shop.test/ns/a/orders")
	if n := testing.AllocsPerRun(100, func() { p.Match(id) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

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
		p, err := spiffecreds.ParsePattern(text)
		if err != nil {
			if !p.IsZero() {
				t.Fatalf("%q is refused and describes %s", text, p)
			}
			return
		}
		if again := mustPattern(t, p.String()); again != p || !p.Overlaps(p) {
			t.Fatalf("%q is read as %s, and that as %s", text, p, again)
		}
		// With a text in the place of each wildcard, it is an ID of its own.
		id, err := spiffeid.FromString(strings.ReplaceAll(p.String(), spiffecreds.AnySegment, "x"))
		if err != nil || !p.Match(id) {
			t.Fatalf("%s does not describe %s (%v)", p, id, err)
		}
		if id, err := spiffeid.FromString(workload); err == nil && id.Path() != "" {
			if exact := mustPattern(t, workload); p.Match(id) != p.Overlaps(exact) {
				t.Errorf("%s describes %s: %t, overlaps it: %t", p, id, p.Match(id), p.Overlaps(exact))
			}
		}
	})
}
