package rules

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryWeakeningIsReported(t *testing.T) {
	binding := func(relation string, optional bool) Rule {
		return Rule{Bindings: []Binding{{Field: "f", Tctx: "m", Relation: relation, Optional: optional}}}
	}
	callers := func(lists ...[]string) Rule { return Rule{Callers: lists} }
	for name, tt := range map[string]struct {
		older, newer Rule
		want         []string // fields and texts
	}{
		"a scope":             {Rule{Scopes: []string{"a", "b"}}, Rule{Scopes: []string{"b"}}, []string{"scopes: no longer demands a"}},
		"one of them instead": {Rule{Scopes: []string{"a"}}, Rule{AnyScopes: [][]string{{"a", "b"}}}, []string{"scopes: no longer demands a"}},
		"any_scopes": {
			Rule{AnyScopes: [][]string{{"a", "b"}}},
			Rule{AnyScopes: [][]string{{"a", "b", "c"}}},
			[]string{"any_scopes: no longer demands one of a, b"},
		},
		"a list of any_scopes": {Rule{AnyScopes: [][]string{{"a"}, {"b"}}}, Rule{AnyScopes: [][]string{{"a"}}}, []string{"any_scopes: no longer demands one of b"}},
		"tctx":                 {Rule{Tctx: []string{"a.b"}}, Rule{Tctx: []string{"a", "a.bc"}}, []string{"tctx: no longer demands a.b"}},
		"tctx, bound optional": {
			Rule{Tctx: []string{"m"}}, binding("", true), []string{"tctx: no longer demands m"},
		},
		"callers dropped":         {callers([]string{"/a"}), Rule{}, []string{"callers: also permits others than /a: now anybody in the trust domain"}},
		"a caller more":           {callers([]string{"/a"}), callers([]string{"/a", "/b"}), []string{"callers: also permits others than /a: now one of /a, /b"}},
		"a pattern":               {callers([]string{"/a/b"}), callers([]string{"/a/*"}), []string{"callers: also permits others than /a/b: now /a/*"}},
		"a longer one":            {callers([]string{"/*"}), callers([]string{"/*/*"}), []string{"callers: also permits others than /*: now /*/*"}},
		"an unknown trust domain": {callers([]string{"/a"}), callers([]string{"spiffe://td/a"}), []string{"callers: also permits others than /a: now spiffe://td/a"}},
		"another trust domain":    {callers([]string{"spiffe://td/a"}), callers([]string{"spiffe://td2/a"}), []string{"callers: also permits others than spiffe://td/a: now spiffe://td2/a"}},
		"one list of two":         {callers([]string{"/a", "/b"}, []string{"/b"}), callers([]string{"/a", "/b"}), []string{"callers: also permits others than /b: now one of /a, /b"}},
		"two lists":               {callers([]string{"/a"}), callers([]string{"/a", "/b"}, []string{"/*"}), []string{"callers: also permits others than /a: now one of /a, /b, and of these only /*"}},
		"chain": {
			Rule{Chain: Chain{Mode: ChainPath, Through: []string{"/t/x"}, NotThrough: []string{"/n/*"}, MaxLinks: 3, StrictTrace: true}},
			Rule{Chain: Chain{Mode: ChainPath, Through: []string{"/t/*"}, NotThrough: []string{"/n/x"}, MaxLinks: 4}},
			[]string{
				"chain.through: no longer demands the way through /t/x", "chain.not_through: no longer excludes /n/*",
				"chain.max_links: permits 4 links, and permitted 3", "chain.strict_trace: is no longer demanded",
			},
		},
		"links without bound": {Rule{Chain: Chain{MaxLinks: 3}}, Rule{}, []string{"chain.max_links: permits 6 links, and permitted 3"}},
		"modes": {
			Rule{Replay: ReplayOnce},
			Rule{Chain: Chain{Mode: ChainOff}, Enforcement: Shadow},
			[]string{"chain.mode: is off, and was path", "replay: is jti, and was once", "enforcement: is shadow, and was strict"},
		},
		"expiry": {Rule{Stream: Stream{Expiry: ExpiryCloseAtExp}}, Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 1}}, []string{"stream.expiry: is grace, and was close_at_exp"}},
		"grace":  {Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 1}}, Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 2}}, []string{"stream.grace: is 2ns, and was 1ns"}},
		"age":    {Rule{Stream: Stream{MaxAge: 1}}, Rule{Stream: Stream{MaxAge: 2}}, []string{"stream.max_age: is 2ns, and was 1ns"}},
		"no age": {Rule{Stream: Stream{MaxAge: 1}}, Rule{}, []string{"stream.max_age: has no bound any more, and was 1ns"}},
		"when": {
			Rule{When: []string{"a", "b"}},
			Rule{When: []string{"a", "c"}},
			[]string{`when: no longer demands "b"; another condition cannot be compared with it`},
		},
		"a binding":           {binding("", false), Rule{}, []string{"bindings: f is no longer bound to tctx.m"}},
		"an optional one":     {binding("", false), binding("", true), []string{"bindings: f and tctx.m may both be absent"}},
		"a relation":          {binding("", false), binding("this <= bound", false), []string{"bindings: f no longer has to equal tctx.m: a relation is demanded instead"}},
		"another relation":    {binding("this < bound", false), binding("this <= bound", false), []string{`bindings: the relation of f to tctx.m is no longer "this < bound"; another one cannot be compared with it`}},
		"no decision point":   {Rule{Evaluation: &Evaluation{}}, Rule{}, []string{"access_evaluation: no decision point is asked any more"}},
		"asked about another": {Rule{Evaluation: &Evaluation{}}, Rule{Evaluation: &Evaluation{ResourceID: "sub"}}, []string{"access_evaluation: the decision point is asked about something else, which cannot be compared"}},
		"an exemption":        {Rule{Scopes: []string{"a"}}, Rule{Exempt: "x"}, []string{"exempt: no longer needs a TraT"}},
		"the whole rule":      {Rule{Scopes: []string{"a"}, Replay: ReplayOnce}, Rule{}, []string{"scopes: no longer demands a", "replay: is jti, and was once"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, l := range Loosened("/pkg.Svc/Get", tt.older, tt.newer) {
				if l.FullMethod != "/pkg.Svc/Get" {
					t.Errorf("of %q", l.FullMethod)
				}
				got = append(got, l.Field+": "+l.Text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if less := Loosened("", tt.older, tt.older); less != nil {
				t.Errorf("looser than itself: %v", less)
			}
		})
	}
}

func TestWhatIsTighterOrAsTightIsNotReported(t *testing.T) {
	for name, tt := range map[string]struct{ older, newer Rule }{
		"no exemption any more":       {Rule{Exempt: "x"}, Rule{}},
		"a scope more":                {Rule{Scopes: []string{"a"}}, Rule{Scopes: []string{"b", "a"}}},
		"one of one":                  {Rule{Scopes: []string{"a"}}, Rule{AnyScopes: [][]string{{"a"}}}},
		"one of fewer":                {Rule{AnyScopes: [][]string{{"a", "b"}}}, Rule{AnyScopes: [][]string{{"b"}}}},
		"a certain one":               {Rule{AnyScopes: [][]string{{"a", "b"}}}, Rule{Scopes: []string{"b"}}},
		"a member in it":              {Rule{Tctx: []string{"a"}}, Rule{Tctx: []string{"a.b"}}},
		"a bound member":              {Rule{Tctx: []string{"a"}}, Rule{Bindings: []Binding{{Field: "f", Tctx: "a.b"}}}},
		"fewer callers":               {Rule{Callers: [][]string{{"/a/*", "/b"}}}, Rule{Callers: [][]string{{"/a/x"}}}},
		"callers by a pattern":        {Rule{Callers: [][]string{{"spiffe://td/*/*"}}}, Rule{Callers: [][]string{{"spiffe://td/a/*"}, {"/x"}}}},
		"callers where none were":     {Rule{}, Rule{Callers: [][]string{{"/a"}}}},
		"a narrower way":              {Rule{Chain: Chain{Through: []string{"/*"}, NotThrough: []string{"/a"}}}, Rule{Chain: Chain{Through: []string{"/b"}, NotThrough: []string{"/*"}}}},
		"stricter modes":              {Rule{Chain: Chain{Mode: ChainHead}, Replay: ReplayOff, Enforcement: Shadow}, Rule{Chain: Chain{MaxLinks: 2}}},
		"the default, written down":   {Rule{}, Rule{Chain: Chain{Mode: ChainPath, MaxLinks: 6}, Replay: ReplayJTI, Enforcement: Strict}},
		"less grace":                  {Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 2, MaxAge: 2}}, Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 1, MaxAge: 1}}},
		"no grace":                    {Rule{Stream: Stream{Expiry: ExpiryGrace, Grace: 2}}, Rule{Stream: Stream{Expiry: ExpiryCloseAtExp}}},
		"another drain":               {Rule{Stream: Stream{Drain: 2}}, Rule{}},
		"a condition more":            {Rule{When: []string{"a"}}, Rule{When: []string{"b", "a"}}},
		"a binding that is required":  {Rule{Bindings: []Binding{{Field: "f", Tctx: "m", Optional: true}}}, Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}}}},
		"a relation beside it":        {Rule{Bindings: []Binding{{Field: "f", Tctx: "m"}}}, Rule{Bindings: []Binding{{Field: "f", Tctx: "m", Relation: "this > 1"}, {Field: "f", Tctx: "m"}}}},
		"the default of the resource": {Rule{Evaluation: &Evaluation{}}, Rule{Evaluation: &Evaluation{ResourceType: "grpc_service"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if less := Loosened("/pkg.Svc/Get", tt.older, tt.newer); less != nil {
				t.Errorf("%v", less)
			}
		})
	}
}
