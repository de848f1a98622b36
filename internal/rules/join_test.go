package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	fromCode    = []Source{{Kind: FromCode, Where: "/pkg.Svc/*"}}
	fromMethod  = []Source{{Kind: FromMethod, Where: "pkg.Svc.Get"}}
	fromOverlay = []Source{{Kind: FromOverlay, Where: "/pkg.Svc/Get"}}
)

// Covers VER-18.
func TestJoinedRulesBothHold(t *testing.T) {
	one := Rule{
		Scopes: []string{"a", "b"}, AnyScopes: [][]string{{"x", "y"}}, Tctx: []string{"m"}, Callers: [][]string{{"/one"}},
		Chain:  Chain{Mode: ChainPath, Through: []string{"/t"}, MaxLinks: 3},
		Replay: ReplayOnce, When: []string{"c"}, Bindings: []Binding{{Field: "f", Tctx: "m"}}, Sources: fromCode,
	}
	other := Rule{
		Scopes: []string{"b", "c"}, AnyScopes: [][]string{{"x", "y"}, {"z"}}, Tctx: []string{"m", "n"}, Callers: [][]string{{"/two"}},
		Chain:  Chain{NotThrough: []string{"/n"}, MaxLinks: 3, StrictTrace: true},
		Stream: Stream{Expiry: ExpiryGrace, Grace: time.Second, MaxAge: time.Minute, Drain: time.Second}, Enforcement: Presence,
		When: []string{"d"}, Bindings: []Binding{{Field: "f", Tctx: "m"}, {Field: "f", Tctx: "n", Relation: "this < bound"}},
		Evaluation: &Evaluation{ResourceID: "sub"}, Sources: fromMethod,
	}
	want := Rule{
		Scopes: []string{"a", "b", "c"}, AnyScopes: [][]string{{"x", "y"}, {"z"}}, Tctx: []string{"m", "n"},
		Callers: [][]string{{"/one"}, {"/two"}},
		Chain:   Chain{Mode: ChainPath, Through: []string{"/t"}, NotThrough: []string{"/n"}, MaxLinks: 3, StrictTrace: true},
		Replay:  ReplayOnce, Stream: other.Stream, Enforcement: Presence, When: []string{"c", "d"},
		Bindings:   []Binding{{Field: "f", Tctx: "m"}, {Field: "f", Tctx: "n", Relation: "this < bound"}},
		Evaluation: other.Evaluation, Sources: []Source{fromCode[0], fromMethod[0]},
	}
	got, err := Merge(one, other)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := Merge(other, one); err != nil {
		t.Errorf("the other way round: %v", err)
	}
}

func TestExemptionsAreJoinedWithEachOtherOnly(t *testing.T) {
	got, err := Merge(Rule{Exempt: "a", Sources: fromCode}, Rule{Exempt: "b", Sources: fromMethod})
	want := Rule{Exempt: "a; b", Sources: []Source{fromCode[0], fromMethod[0]}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	for name, required := range map[string]Rule{"zero": {}, "with a scope": {Scopes: []string{"a"}, Sources: fromCode}} {
		if got, err := Merge(Rule{Exempt: "a", Sources: fromMethod}, required); err == nil {
			t.Errorf("%s: no error, but %+v", name, got)
		}
		if got, err := Merge(required, Rule{Exempt: "a", Sources: fromMethod}); err == nil {
			t.Errorf("%s, the other way round: no error, but %+v", name, got)
		}
	}
}

func TestWhatOnlyOneCanSayMustNotBeSaidDifferently(t *testing.T) {
	for field, tt := range map[string]struct{ one, other Rule }{
		"exempt":            {Rule{Exempt: "x"}, Rule{Scopes: []string{"a"}}},
		"chain.mode":        {Rule{Chain: Chain{Mode: ChainPath}}, Rule{Chain: Chain{Mode: ChainHead}}},
		"chain.max_links":   {Rule{Chain: Chain{MaxLinks: 1}}, Rule{Chain: Chain{MaxLinks: 2}}},
		"replay":            {Rule{Replay: ReplayJTI}, Rule{Replay: ReplayOnce}},
		"stream.expiry":     {Rule{Stream: Stream{Expiry: ExpiryOpenOnly}}, Rule{Stream: Stream{Expiry: ExpiryCloseAtExp}}},
		"stream.grace":      {Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 1}}, Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 2}}},
		"stream.max_age":    {Rule{Stream: Stream{MaxAge: 1}}, Rule{Stream: Stream{MaxAge: 2}}},
		"stream.drain":      {Rule{Stream: Stream{Drain: 1}}, Rule{Stream: Stream{Drain: 2}}},
		"enforcement":       {Rule{Enforcement: Strict}, Rule{Enforcement: Shadow}},
		"bindings":          {Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}}}, Rule{Bindings: []Binding{{Field: "f", Tctx: "m", Relation: "this < bound"}}}},
		"access_evaluation": {Rule{Evaluation: &Evaluation{}}, Rule{Evaluation: &Evaluation{ResourceID: "sub"}}},
	} {
		t.Run(field, func(t *testing.T) {
			tt.one.Sources, tt.other.Sources = fromCode, fromMethod
			for _, pair := range [][2]Rule{{tt.one, tt.other}, {tt.other, tt.one}} {
				got, err := Merge(pair[0], pair[1])
				if err == nil {
					t.Fatalf("no error, but %+v", got)
				}
				for _, want := range []string{field + ": ", "code /pkg.Svc/*", "method option pkg.Svc.Get"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("no %q in %v", want, err)
					}
				}
			}
		})
	}
	all, err := Merge(Rule{Replay: ReplayJTI, Enforcement: Strict}, Rule{Replay: ReplayOff, Enforcement: Shadow})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("not both at once: %+v, %v", all, err)
	}
}
