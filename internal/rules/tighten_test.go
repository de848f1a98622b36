package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	unary        = Target{FullMethod: "/pkg.Svc/Get"}
	serverStream = Target{FullMethod: "/pkg.Svc/List", ServerStreams: true}
	watch        = Target{FullMethod: "/pkg.Svc/WatchAll", ServerStreams: true}
	clientStream = Target{FullMethod: "/pkg.Svc/Put", ClientStreams: true}
	bidi         = Target{FullMethod: "/pkg.Svc/Talk", ClientStreams: true, ServerStreams: true}
)

// Covers STR-03.
func TestEffectiveRuleHasEveryDefault(t *testing.T) {
	for _, tt := range []struct {
		target Target
		want   Expiry
	}{
		{unary, 0},
		{serverStream, ExpiryOpenOnly},
		{watch, ExpiryCloseAtExp},
		{Target{FullMethod: "/pkg.Watch/Rewatch", ServerStreams: true}, ExpiryOpenOnly},
		{clientStream, ExpiryCloseAtExp},
		{bidi, ExpiryCloseAtExp},
	} {
		want := Rule{Chain: Chain{Mode: ChainPath, MaxLinks: 6}, Replay: ReplayJTI, Enforcement: Strict, Stream: Stream{Expiry: tt.want}}
		if diff := cmp.Diff(want, Effective(Rule{}, tt.target)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.target.FullMethod, diff)
		}
	}
	said := Rule{
		Chain: Chain{Mode: ChainHead}, Replay: ReplayOff, Enforcement: Shadow, Stream: Stream{Expiry: ExpiryOpenOnly, MaxAge: time.Second},
	}
	if diff := cmp.Diff(said, Effective(said, bidi)); diff != "" {
		t.Errorf("what is said is changed: %s", diff)
	}
	if diff := cmp.Diff(Rule{Exempt: "x"}, Effective(Rule{Exempt: "x"}, bidi)); diff != "" {
		t.Errorf("an exemption: %s", diff)
	}
}

func TestOverlayDemandsMore(t *testing.T) {
	grace := func(d time.Duration) Stream { return Stream{Expiry: ExpiryGrace, Grace: d} }
	for name, tt := range map[string]struct {
		target              Target
		rule, overlay, want Rule
	}{
		"nothing": {unary, Rule{Scopes: []string{"a"}}, Rule{}, Rule{Scopes: []string{"a"}}},
		"lists": {
			unary,
			Rule{Scopes: []string{"a"}, Callers: [][]string{{"/a"}}, Tctx: []string{"m"}},
			Rule{
				Scopes: []string{"b"}, AnyScopes: [][]string{{"c"}}, Callers: [][]string{{"/b"}}, Tctx: []string{"m"},
				Chain: Chain{Through: []string{"/t"}, NotThrough: []string{"/n"}}, When: []string{"w"},
			},
			Rule{
				Scopes: []string{"a", "b"}, AnyScopes: [][]string{{"c"}}, Callers: [][]string{{"/a"}, {"/b"}}, Tctx: []string{"m"},
				Chain: Chain{Through: []string{"/t"}, NotThrough: []string{"/n"}}, When: []string{"w"},
			},
		},
		"an exempt method is no more": {
			unary, Rule{Exempt: "x"}, Rule{Scopes: []string{"a"}}, Rule{Scopes: []string{"a"}},
		},
		"modes": {
			unary,
			Rule{Chain: Chain{Mode: ChainOff}, Replay: ReplayOff, Enforcement: Shadow},
			Rule{Chain: Chain{Mode: ChainHead, StrictTrace: true}, Replay: ReplayOnce, Enforcement: Presence},
			Rule{Chain: Chain{Mode: ChainHead, StrictTrace: true}, Replay: ReplayOnce, Enforcement: Presence},
		},
		"the same as the default": {
			unary,
			Rule{},
			Rule{Chain: Chain{Mode: ChainPath, MaxLinks: 6}, Replay: ReplayJTI, Enforcement: Strict},
			Rule{Chain: Chain{Mode: ChainPath, MaxLinks: 6}, Replay: ReplayJTI, Enforcement: Strict},
		},
		"fewer links":      {unary, Rule{Chain: Chain{MaxLinks: 4}}, Rule{Chain: Chain{MaxLinks: 3}}, Rule{Chain: Chain{MaxLinks: 3}}},
		"open_only: grace": {serverStream, Rule{}, Rule{Stream: grace(time.Minute)}, Rule{Stream: grace(time.Minute)}},
		"less grace":       {bidi, Rule{Stream: grace(time.Minute)}, Rule{Stream: grace(time.Second)}, Rule{Stream: grace(time.Second)}},
		"grace: at once":   {bidi, Rule{Stream: grace(time.Minute)}, Rule{Stream: Stream{Expiry: ExpiryCloseAtExp}}, Rule{Stream: Stream{Expiry: ExpiryCloseAtExp}}},
		"a first age":      {bidi, Rule{}, Rule{Stream: Stream{MaxAge: 9}}, Rule{Stream: Stream{MaxAge: 9}}},
		"a smaller age":    {bidi, Rule{Stream: Stream{MaxAge: 9}}, Rule{Stream: Stream{MaxAge: 8, Drain: 1}}, Rule{Stream: Stream{MaxAge: 8, Drain: 1}}},
		"a binding more": {
			unary,
			Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}}},
			Rule{Bindings: []Binding{{Field: "f", Tctx: "m", Relation: "this > 1"}, {Field: "f", Tctx: "m"}}},
			Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}, {Field: "f", Tctx: "m", Relation: "this > 1"}}},
		},
		"an optional binding": {
			unary,
			Rule{Bindings: []Binding{{Field: "f", Tctx: "m", Optional: true}}},
			Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}}},
			Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}}},
		},
		"a decision point": {unary, Rule{}, Rule{Evaluation: &Evaluation{}}, Rule{Evaluation: &Evaluation{}}},
		"its own":          {unary, Rule{Evaluation: &Evaluation{ResourceID: "a"}}, Rule{Evaluation: &Evaluation{ResourceID: "a"}}, Rule{Evaluation: &Evaluation{ResourceID: "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.rule.Sources, tt.overlay.Sources = fromMethod, fromOverlay
			tt.want.Sources = []Source{fromOverlay[0], fromMethod[0]}
			before := cmp.Diff(Rule{}, tt.rule)
			got, err := Tighten(tt.rule, tt.overlay, tt.target)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if before != cmp.Diff(Rule{}, tt.rule) {
				t.Error("the rule itself has changed")
			}
			if tt.rule.Exempt == "" {
				if less := Loosened("", Effective(tt.rule, tt.target), Effective(got, tt.target)); less != nil {
					t.Errorf("looser: %v", less)
				}
			}
		})
	}
}

func TestOverlayThatDemandsLessIsAnError(t *testing.T) {
	grace := func(d time.Duration) Stream { return Stream{Expiry: ExpiryGrace, Grace: d} }
	for name, tt := range map[string]struct {
		target        Target
		rule, overlay Rule
		field         string
	}{
		"exempt":                        {unary, Rule{}, Rule{Exempt: "x"}, "exempt"},
		"exempt, which it is":           {unary, Rule{Exempt: "x"}, Rule{Exempt: "x"}, "exempt"},
		"chain.mode below the default":  {unary, Rule{}, Rule{Chain: Chain{Mode: ChainHead}}, "chain.mode"},
		"chain.mode":                    {unary, Rule{Chain: Chain{Mode: ChainHead}}, Rule{Chain: Chain{Mode: ChainOff}}, "chain.mode"},
		"more links":                    {unary, Rule{Chain: Chain{MaxLinks: 2}}, Rule{Chain: Chain{MaxLinks: 3}}, "chain.max_links"},
		"replay below the default":      {unary, Rule{}, Rule{Replay: ReplayOff}, "replay"},
		"replay":                        {unary, Rule{Replay: ReplayOnce}, Rule{Replay: ReplayJTI}, "replay"},
		"enforcement below the default": {unary, Rule{}, Rule{Enforcement: Presence}, "enforcement"},
		"enforcement":                   {unary, Rule{Enforcement: Presence}, Rule{Enforcement: Shadow}, "enforcement"},
		"expiry below the default":      {bidi, Rule{}, Rule{Stream: grace(1)}, "stream.expiry"},
		"expiry of watch":               {watch, Rule{}, Rule{Stream: Stream{Expiry: ExpiryOpenOnly}}, "stream.expiry"},
		"more grace":                    {bidi, Rule{Stream: grace(1)}, Rule{Stream: grace(2)}, "stream.grace"},
		"more age":                      {bidi, Rule{Stream: Stream{MaxAge: 1}}, Rule{Stream: Stream{MaxAge: 2}}, "stream.max_age"},
		"another drain":                 {bidi, Rule{Stream: Stream{Drain: 2}}, Rule{Stream: Stream{Drain: 1}}, "stream.drain"},
		"an optional binding": {
			unary, Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}}}, Rule{Bindings: []Binding{{Field: "f", Tctx: "m", Optional: true}}}, "bindings",
		},
		"another decision": {unary, Rule{Evaluation: &Evaluation{}}, Rule{Evaluation: &Evaluation{ResourceID: "a"}}, "access_evaluation"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.rule.Sources, tt.overlay.Sources = fromMethod, fromOverlay
			got, err := Tighten(tt.rule, tt.overlay, tt.target)
			if err == nil {
				t.Fatalf("no error, but %+v", got)
			}
			if !strings.HasPrefix(err.Error(), tt.field+": ") || !strings.Contains(err.Error(), "overlay /pkg.Svc/Get") {
				t.Error(err)
			}
		})
	}
}

func TestRuleOfAServiceSaysNothingOfStreamsToUnaryMethods(t *testing.T) {
	rule := Rule{Scopes: []string{"a"}, Stream: Stream{MaxAge: 1}}
	if diff := cmp.Diff(Rule{Scopes: []string{"a"}}, Fitted(rule, unary)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(rule, Fitted(rule, serverStream)); diff != "" {
		t.Error(diff)
	}
}
