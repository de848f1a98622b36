package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Loosening is one thing that a newer rule demands less of than an older one.
type Loosening struct {
	FullMethod string
	Field      string // of trat.v1.Rule, "scopes" or "chain.mode"
	Text       string // "no longer demands order.create"
}

// Loosened compares the rules of one method, in both of which the defaults are filled in as
// Effective does it, and returns what the newer one demands less of; nil when there is
// nothing. What cannot be compared, an expression that is not the same text, counts as less.
func Loosened(fullMethod string, older, newer Rule) []Loosening {
	l := loosenings{method: fullMethod}
	switch {
	case older.Exempt != "":
		return nil
	case newer.Exempt != "":
		l.add("exempt", "no longer needs a TraT")
		return l.found
	}
	l.scopes(&older, &newer)
	l.tctx(&older, &newer)
	l.callers(&older, &newer)
	l.chain(older.Chain, newer.Chain)
	lower(&l, "replay", cmp.Or(older.Replay, ReplayJTI), cmp.Or(newer.Replay, ReplayJTI))
	l.stream(older.Stream, newer.Stream)
	lower(&l, "enforcement", cmp.Or(older.Enforcement, Strict), cmp.Or(newer.Enforcement, Strict))
	for _, source := range older.When {
		if !slices.Contains(newer.When, source) {
			l.add("when", "no longer demands %s; another condition cannot be compared with it", syntax.Shown(source))
		}
	}
	l.bindings(older.Bindings, newer.Bindings)
	l.evaluation(older.Evaluation, newer.Evaluation)
	return l.found
}

// loosenings collects them for one method.
type loosenings struct {
	method string
	found  []Loosening
}

func (l *loosenings) add(field, format string, args ...any) {
	l.found = append(l.found, Loosening{FullMethod: l.method, Field: field, Text: fmt.Sprintf(format, args...)})
}

// scopes: what must be held is still held when it is demanded alone, and one of some when
// one of fewer is, or a certain one of them.
func (l *loosenings) scopes(older, newer *Rule) {
	for _, scope := range older.Scopes {
		if !slices.Contains(newer.Scopes, scope) && !slices.ContainsFunc(newer.AnyScopes, within([]string{scope}, equal)) {
			l.add("scopes", "no longer demands %s", scope)
		}
	}
	for _, list := range older.AnyScopes {
		held := slices.ContainsFunc(newer.Scopes, func(s string) bool { return slices.Contains(list, s) })
		if !held && !slices.ContainsFunc(newer.AnyScopes, within(list, equal)) {
			l.add("any_scopes", "no longer demands one of %s", strings.Join(list, ", "))
		}
	}
}

// tctx: a member is also demanded where one in it is, or where a field is bound to it.
func (l *loosenings) tctx(older, newer *Rule) {
	var demanded []string
	demanded = append(demanded, newer.Tctx...)
	for _, b := range newer.Bindings {
		if !b.Optional {
			demanded = append(demanded, b.Tctx)
		}
	}
	for _, path := range older.Tctx {
		if !slices.ContainsFunc(demanded, func(d string) bool { return d == path || strings.HasPrefix(d, path+".") }) {
			l.add("tctx", "no longer demands %s", path)
		}
	}
}

// callers: each list still holds when there is one that admits nobody beyond it.
func (l *loosenings) callers(older, newer *Rule) {
	for _, list := range older.Callers {
		if !slices.ContainsFunc(newer.Callers, within(list, describes)) {
			l.add("callers", "also permits others than %s: now %s", strings.Join(list, ", "), callersText(newer.Callers))
		}
	}
}

// callersText is who may call.
func callersText(lists [][]string) string {
	if len(lists) == 0 {
		return "anybody in the trust domain"
	}
	texts := make([]string, len(lists))
	for i, list := range lists {
		texts[i] = strings.Join(list, ", ")
		if len(list) > 1 {
			texts[i] = "one of " + texts[i]
		}
	}
	return strings.Join(texts, ", and of these only ")
}

func (l *loosenings) chain(older, newer Chain) {
	older.Mode, newer.Mode = cmp.Or(older.Mode, ChainPath), cmp.Or(newer.Mode, ChainPath)
	lower(l, "chain.mode", older.Mode, newer.Mode)
	for _, pattern := range older.Through {
		if !slices.ContainsFunc(newer.Through, func(n string) bool { return describes(pattern, n) }) {
			l.add("chain.through", "no longer demands the way through %s", pattern)
		}
	}
	for _, pattern := range older.NotThrough {
		if !slices.ContainsFunc(newer.NotThrough, func(n string) bool { return describes(n, pattern) }) {
			l.add("chain.not_through", "no longer excludes %s", pattern)
		}
	}
	before, after := cmp.Or(older.MaxLinks, callchain.MaxLinks), cmp.Or(newer.MaxLinks, callchain.MaxLinks)
	if older.Mode == newer.Mode && after > before {
		l.add("chain.max_links", "permits %d links, and permitted %d", after, before)
	}
	if older.StrictTrace && !newer.StrictTrace {
		l.add("chain.strict_trace", "is no longer demanded")
	}
}

func (l *loosenings) stream(older, newer Stream) {
	lower(l, "stream.expiry", older.Expiry, newer.Expiry)
	if older.Expiry == ExpiryGrace && newer.Expiry == ExpiryGrace {
		longer(l, "stream.grace", older.Grace, newer.Grace)
	}
	longer(l, "stream.max_age", older.MaxAge, newer.MaxAge)
}

// bindings: an equality is not compared with a relation, nor one relation with another.
func (l *loosenings) bindings(older, newer []Binding) {
	for _, b := range older {
		same := func(n Binding) bool { return n.Field == b.Field && n.Tctx == b.Tctx }
		exact := func(n Binding) bool { return same(n) && n.Relation == b.Relation }
		required := func(n Binding) bool { return exact(n) && (b.Optional || !n.Optional) }
		switch {
		case slices.ContainsFunc(newer, required):
		case slices.ContainsFunc(newer, exact):
			l.add("bindings", "%s and tctx.%s may both be absent", b.Field, b.Tctx)
		case !slices.ContainsFunc(newer, same):
			l.add("bindings", "%s is no longer bound to tctx.%s", b.Field, b.Tctx)
		case b.Relation == "":
			l.add("bindings", "%s no longer has to equal tctx.%s: a relation is demanded instead", b.Field, b.Tctx)
		default:
			l.add("bindings", "the relation of %s to tctx.%s is no longer %s; another one cannot be compared with it",
				b.Field, b.Tctx, syntax.Shown(b.Relation))
		}
	}
}

func (l *loosenings) evaluation(older, newer *Evaluation) {
	switch {
	case older == nil:
	case newer == nil:
		l.add("access_evaluation", "no decision point is asked any more")
	case older.resourceType() != newer.resourceType() || older.ResourceID != newer.ResourceID:
		l.add("access_evaluation", "the decision point is asked about something else, which cannot be compared")
	}
}

// lower adds what has become less strict, of what is the stricter the greater it is.
func lower[E interface {
	~uint8
	fmt.Stringer
}](l *loosenings, field string, older, newer E,
) {
	if newer < older {
		l.add(field, "is %s, and was %s", cmp.Or(newer.String(), "not said"), older)
	}
}

// longer adds what has become longer; 0 is without bound.
func longer(l *loosenings, field string, older, newer time.Duration) {
	switch {
	case older == 0:
	case newer == 0:
		l.add(field, "has no bound any more, and was %s", older)
	case newer > older:
		l.add(field, "is %s, and was %s", newer, older)
	}
}

// within returns whether all of a list is covered by something in wide.
func within(wide []string, covering func(wide, one string) bool) func([]string) bool {
	return func(list []string) bool {
		return len(list) > 0 && !slices.ContainsFunc(list, func(one string) bool {
			return !slices.ContainsFunc(wide, func(w string) bool { return covering(w, one) })
		})
	}
}

func equal(one, other string) bool { return one == other }

// describes reports whether wide describes every workload that one does, in whatever trust
// domain.
func describes(wide, one string) bool { return covers(wide, one, spiffeid.TrustDomain{}) }
