package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Merge joins rules of two sources, of which both must hold: lists are united, of lists of
// lists each is kept. What only one can say, and both say differently, is an error that
// names both, and so is an exemption beside any rule that is none; a rule that says nothing
// is such a rule too. All problems are reported at once.
func Merge(one, other Rule) (Rule, error) {
	m := merger{one: &one, other: &other}
	sources := united(one.Sources, other.Sources)
	if one.Exempt != "" || other.Exempt != "" {
		if one.Exempt == "" || other.Exempt == "" {
			m.conflict("exempt", exemptText(one), exemptText(other))
		}
		exempt := strings.Join(united([]string{one.Exempt}, []string{other.Exempt}), "; ")
		return m.result(Rule{Exempt: exempt, Sources: sources})
	}
	return m.result(Rule{
		Scopes:    united(one.Scopes, other.Scopes),
		AnyScopes: unitedLists(one.AnyScopes, other.AnyScopes),
		Tctx:      united(one.Tctx, other.Tctx),
		Callers:   unitedLists(one.Callers, other.Callers),
		Chain: Chain{
			Mode:        single(&m, "chain.mode", one.Chain.Mode, other.Chain.Mode),
			Through:     united(one.Chain.Through, other.Chain.Through),
			NotThrough:  united(one.Chain.NotThrough, other.Chain.NotThrough),
			MaxLinks:    single(&m, "chain.max_links", one.Chain.MaxLinks, other.Chain.MaxLinks),
			StrictTrace: one.Chain.StrictTrace || other.Chain.StrictTrace,
		},
		Replay: single(&m, "replay", one.Replay, other.Replay),
		Stream: Stream{
			Expiry: single(&m, "stream.expiry", one.Stream.Expiry, other.Stream.Expiry),
			Grace:  single(&m, "stream.grace", one.Stream.Grace, other.Stream.Grace),
			MaxAge: single(&m, "stream.max_age", one.Stream.MaxAge, other.Stream.MaxAge),
			Drain:  single(&m, "stream.drain", one.Stream.Drain, other.Stream.Drain),
		},
		Enforcement: single(&m, "enforcement", one.Enforcement, other.Enforcement),
		When:        united(one.When, other.When),
		Bindings:    m.bindings(),
		Evaluation:  m.evaluation(),
		Sources:     sources,
	})
}

// merger collects what two rules cannot both have.
type merger struct {
	one, other *Rule
	problems   []error
}

func (m *merger) conflict(field string, one, other any) {
	m.problems = append(m.problems, fmt.Errorf("%s: %v by %s, but %v by %s", field, one, m.one.from(), other, m.other.from()))
}

func (m *merger) result(rule Rule) (Rule, error) {
	if err := errors.Join(m.problems...); err != nil {
		return Rule{}, err
	}
	return rule, nil
}

// bindings unites the bindings, in which one field and member may be bound once.
func (m *merger) bindings() []Binding {
	for _, b := range m.other.Bindings {
		i := slices.IndexFunc(m.one.Bindings, func(a Binding) bool { return a.Field == b.Field && a.Tctx == b.Tctx })
		if i >= 0 && m.one.Bindings[i] != b {
			m.conflict("bindings", m.one.Bindings[i], b)
		}
	}
	return united(m.one.Bindings, m.other.Bindings)
}

func (m *merger) evaluation() *Evaluation {
	one, other := m.one.Evaluation, m.other.Evaluation
	switch {
	case one == nil:
		return other
	case other != nil && *one != *other:
		m.conflict("access_evaluation", one, other)
	}
	return one
}

// single is what two rules say of what only one can.
func single[T interface {
	~uint8 | ~int | time.Duration
	comparable
}](m *merger, field string, one, other T,
) T {
	switch {
	case one == 0:
		return other
	case other != 0 && one != other:
		m.conflict(field, one, other)
	}
	return one
}

// united is one and then what of other is not in it.
func united[T comparable](one, other []T) []T {
	all := slices.Clone(one)
	for _, v := range other {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

func unitedLists(one, other [][]string) [][]string {
	all := slices.Clone(one)
	for _, list := range other {
		if !slices.ContainsFunc(all, func(a []string) bool { return slices.Equal(a, list) }) {
			all = append(all, list)
		}
	}
	return all
}

func exemptText(r Rule) string {
	if r.Exempt == "" {
		return "a TraT is required"
	}
	return "none is"
}

// from names the sources of a rule for an error; fields only if nothing else says more.
func (r *Rule) from() string {
	var names []string
	for _, s := range r.Sources {
		if s.Kind != FromField || len(r.Sources) == 1 {
			names = append(names, s.String())
		}
	}
	switch {
	case len(r.Sources) == 0:
		return "a rule of no source"
	case len(names) == 0:
		return "field options"
	}
	return strings.Join(names, ", ")
}

// String is kind and place.
func (s Source) String() string {
	if s.Where == "" {
		return string(s.Kind)
	}
	return string(s.Kind) + " " + s.Where
}

// String is what is asked about.
func (e *Evaluation) String() string {
	if e.ResourceID == "" {
		return e.resourceType() + " by its name"
	}
	return e.resourceType() + " " + e.ResourceID
}

// defaultResource is the type of resource that a decision point is asked about.
const defaultResource = "grpc_service"

func (e *Evaluation) resourceType() string {
	if e.ResourceType == "" {
		return defaultResource
	}
	return e.ResourceType
}
