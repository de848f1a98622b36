package rules

import (
	"math/rand/v2"
	"testing"
	"time"
)

// ruleDice makes rules of few values, so that two of them meet often.
type ruleDice struct{ *rand.Rand }

func (d ruleDice) some(of ...string) []string {
	var list []string
	for _, text := range of {
		if d.IntN(3) == 0 {
			list = append(list, text)
		}
	}
	return list
}

func (d ruleDice) someLists(of ...string) [][]string {
	if list := d.some(of...); list != nil {
		return [][]string{list}
	}
	return nil
}

func (d ruleDice) rule() Rule {
	r := Rule{
		Scopes: d.some("a", "b"), AnyScopes: d.someLists("a", "b", "c"), Tctx: d.some("m", "m.n"), Callers: d.someLists("/a", "/*", "/a/b", "spiffe://td/a"),
		Chain: Chain{
			Mode: ChainMode(d.IntN(4)), Through: d.some("/a", "/*"), NotThrough: d.some("/b", "/*"), MaxLinks: d.IntN(7), StrictTrace: d.IntN(2) == 0,
		},
		Replay: Replay(d.IntN(4)), Stream: Stream{Expiry: Expiry(d.IntN(4)), MaxAge: time.Duration(d.IntN(3)), Drain: time.Duration(d.IntN(2))},
		Enforcement: Enforcement(d.IntN(4)), When: d.some("x", "y"),
	}
	if r.Stream.Expiry == ExpiryGrace {
		r.Stream.Grace = time.Duration(1 + d.IntN(3))
	}
	for _, relation := range d.some("", "this < bound") {
		r.Bindings = append(r.Bindings, Binding{Field: "f", Tctx: "m", Relation: relation, Optional: d.IntN(2) == 0})
	}
	if d.IntN(3) == 0 {
		r.Evaluation = &Evaluation{ResourceID: []string{"", "sub"}[d.IntN(2)]}
	}
	return r
}

// Whatever Tighten makes demands, by the measure of Loosened, nothing less than either of
// the two rules that it was made of.
func TestTightenedRuleIsNotLooser(t *testing.T) {
	d := ruleDice{rand.New(rand.NewPCG(1, 2))}
	var tightened int
	for range 50_000 {
		rule, overlay, target := d.rule(), d.rule(), []Target{unary, serverStream, watch, bidi}[d.IntN(4)]
		got, err := Tighten(rule, overlay, target)
		if err != nil {
			continue
		}
		tightened++
		if less := Loosened("", Effective(rule, target), Effective(got, target)); less != nil {
			t.Fatalf("%+v with %+v is %+v: %v", rule, overlay, got, less)
		}
		// What the overlay left open it did not demand.
		open := map[string]bool{
			"chain.mode": overlay.Chain.Mode == 0, "chain.max_links": overlay.Chain.MaxLinks == 0,
			"replay": overlay.Replay == 0, "enforcement": overlay.Enforcement == 0,
		}
		for _, l := range Loosened("", overlay, Effective(got, target)) {
			if !open[l.Field] {
				t.Fatalf("%+v with %+v is %+v: %v", rule, overlay, got, l)
			}
		}
	}
	if tightened < 1000 {
		t.Errorf("only %d of the rules could be tightened", tightened)
	}
}
