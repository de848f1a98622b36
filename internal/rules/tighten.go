package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Tighten adds an overlay's rule to the rule of a method. Lists are united, of lists of
// lists each is kept, and what only one can say is taken from the overlay, which must say
// something at least as strict as what is in force for target without it, by a default or
// not. Where it demands less, in anything that it says, it is an error; all of them are
// reported at once. A method that is exempt is not any more, and has the overlay's rule.
func Tighten(rule, overlay Rule, target Target) (Rule, error) {
	if overlay.Exempt != "" {
		return Rule{}, fmt.Errorf("exempt: %s exempts a method, and may only demand more", overlay.from())
	}
	sources := united(overlay.Sources, rule.Sources)
	if rule.Exempt != "" {
		overlay.Sources = sources
		return overlay, nil
	}
	t := tightening{overlay: &overlay, before: Effective(rule, target)}
	rule.Scopes = united(rule.Scopes, overlay.Scopes)
	rule.AnyScopes = unitedLists(rule.AnyScopes, overlay.AnyScopes)
	rule.Tctx = united(rule.Tctx, overlay.Tctx)
	rule.Callers = unitedLists(rule.Callers, overlay.Callers)
	rule.Chain = t.chain(rule.Chain)
	rule.Replay = stricter(&t, "replay", rule.Replay, t.before.Replay, overlay.Replay)
	rule.Stream = t.stream(rule.Stream)
	rule.Enforcement = stricter(&t, "enforcement", rule.Enforcement, t.before.Enforcement, overlay.Enforcement)
	rule.When = united(rule.When, overlay.When)
	rule.Bindings = t.bindings(rule.Bindings)
	rule.Evaluation = t.evaluation(rule.Evaluation)
	rule.Sources = sources
	if err := errors.Join(t.problems...); err != nil {
		return Rule{}, err
	}
	return rule, nil
}

// tightening collects what an overlay demands less of than what is in force before it.
type tightening struct {
	overlay  *Rule
	before   Rule
	problems []error
}

func (t *tightening) looser(field string, before, overlay any) {
	t.problems = append(t.problems, fmt.Errorf("%s: %v by %s is less strict than %v, which is in force by %s",
		field, overlay, t.overlay.from(), before, t.before.from()))
}

// stricter is the overlay's value, if it says any, of what is the stricter the greater it is.
func stricter[E interface {
	~uint8
	fmt.Stringer
}](t *tightening, field string, said, before, overlay E,
) E {
	switch {
	case overlay == 0:
		return said
	case overlay < before:
		t.looser(field, before, overlay)
	}
	return overlay
}

// shorter is the overlay's value, if it says any, of what is the stricter the smaller it
// is; 0 is without bound.
func shorter[T interface{ ~int | time.Duration }](t *tightening, field string, said, before, overlay T) T {
	switch {
	case overlay == 0:
		return said
	case before != 0 && overlay > before:
		t.looser(field, before, overlay)
	}
	return overlay
}

func (t *tightening) chain(said Chain) Chain {
	before, overlay := t.before.Chain, t.overlay.Chain
	return Chain{
		Mode:        stricter(t, "chain.mode", said.Mode, before.Mode, overlay.Mode),
		Through:     united(said.Through, overlay.Through),
		NotThrough:  united(said.NotThrough, overlay.NotThrough),
		MaxLinks:    shorter(t, "chain.max_links", said.MaxLinks, cmp.Or(before.MaxLinks, callchain.MaxLinks), overlay.MaxLinks),
		StrictTrace: said.StrictTrace || overlay.StrictTrace,
	}
}

func (t *tightening) stream(said Stream) Stream {
	before, overlay := t.before.Stream, t.overlay.Stream
	said.MaxAge = shorter(t, "stream.max_age", said.MaxAge, before.MaxAge, overlay.MaxAge)
	said.Expiry = stricter(t, "stream.expiry", said.Expiry, before.Expiry, overlay.Expiry)
	switch {
	case overlay.Expiry == ExpiryGrace && before.Expiry == ExpiryGrace:
		said.Grace = shorter(t, "stream.grace", said.Grace, before.Grace, overlay.Grace)
	case overlay.Expiry != 0:
		said.Grace = overlay.Grace
	}
	// Telling the handler sooner or later is neither stricter nor looser.
	if overlay.Drain != 0 && said.Drain != 0 && overlay.Drain != said.Drain {
		t.problems = append(t.problems, fmt.Errorf("stream.drain: %s by %s, but %s is in force by %s",
			overlay.Drain, t.overlay.from(), said.Drain, t.before.from()))
	}
	said.Drain = cmp.Or(said.Drain, overlay.Drain)
	return said
}

// bindings adds the overlay's. A relation beside an equality is one more demand.
func (t *tightening) bindings(said []Binding) []Binding {
	said = slices.Clone(said)
	for _, b := range t.overlay.Bindings {
		i := slices.IndexFunc(said, func(a Binding) bool {
			return a.Field == b.Field && a.Tctx == b.Tctx && a.Relation == b.Relation
		})
		switch {
		case i < 0:
			said = append(said, b)
		case b.Optional && !said[i].Optional:
			t.looser("bindings", said[i], b)
		default:
			said[i] = b
		}
	}
	return said
}

func (t *tightening) evaluation(said *Evaluation) *Evaluation {
	overlay := t.overlay.Evaluation
	switch {
	case overlay == nil:
		return said
	case said != nil && *said != *overlay:
		t.problems = append(t.problems, fmt.Errorf("access_evaluation: %s by %s would replace %s by %s",
			overlay, t.overlay.from(), said, t.before.from()))
	}
	return overlay
}
