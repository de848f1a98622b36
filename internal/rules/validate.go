package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// problem is one thing wrong with a rule.
type problem struct {
	field string // of trat.v1.Rule, "chain.max_links"
	entry int    // of a list, from 0; -1: it is not about one
	text  string
}

func (p problem) Error() string { return p.place() + ": " + p.text }

// place is the field, or the entry of it.
func (p problem) place() string {
	if p.entry < 0 {
		return p.field
	}
	return p.field + "[" + strconv.Itoa(p.entry) + "]"
}

// problems collects them.
type problems []problem

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, problem{field: field, entry: -1, text: fmt.Sprintf(format, args...)})
}

func (p *problems) addEntry(field string, entry int, format string, args ...any) {
	*p = append(*p, problem{field: field, entry: entry, text: fmt.Sprintf(format, args...)})
}

// err joins them under the place that the rule stands at.
func (p problems) err(where string) error {
	all := make([]error, len(p))
	for i, problem := range p {
		all[i] = fmt.Errorf("%s: %w", where, problem)
	}
	return errors.Join(all...)
}

// problems returns what is wrong with one rule, whatever method it is for and whatever
// rule it is joined with.
func (r *Rule) problems() problems {
	var p problems
	if r.Exempt != "" {
		p.exemption(r)
		return p
	}
	p.list("scopes", r.Scopes, CheckScopeToken)
	p.lists("any_scopes", r.AnyScopes, CheckScopeToken)
	p.list("tctx", r.Tctx, syntax.CheckMember)
	p.lists("callers", r.Callers, workload)
	p.chain(r.Chain)
	if r.Replay > ReplayOnce {
		p.add("replay", "is %s", r.Replay)
	}
	p.stream(r.Stream)
	if r.Enforcement > Strict {
		p.add("enforcement", "is %s", r.Enforcement)
	}
	p.list("when", r.When, anyText)
	p.bindings(r.Bindings)
	if r.Evaluation != nil {
		p.text("access_evaluation.resource_type", r.Evaluation.ResourceType)
		p.text("access_evaluation.resource_id", r.Evaluation.ResourceID)
	}
	return p
}

func (p *problems) exemption(r *Rule) {
	p.text("exempt.reason", r.Exempt)
	if strings.TrimSpace(r.Exempt) == "" {
		p.add("exempt.reason", "is missing")
	}
	if r.demands() {
		p.add("exempt", "stands alone: a method that needs no TraT has no other rule")
	}
}

// demands reports whether a rule says anything beside an exemption.
func (r *Rule) demands() bool {
	return len(r.Scopes)+len(r.AnyScopes)+len(r.Tctx)+len(r.Callers)+len(r.When)+len(r.Bindings) > 0 ||
		!r.Chain.isZero() || r.Replay != 0 || r.Stream != (Stream{}) || r.Enforcement != 0 || r.Evaluation != nil
}

func (c *Chain) isZero() bool {
	return c.Mode == 0 && len(c.Through)+len(c.NotThrough)+c.MaxLinks == 0 && !c.StrictTrace
}

func (p *problems) chain(c Chain) {
	if c.Mode > ChainPath {
		p.add("chain.mode", "is %s", c.Mode)
	}
	p.list("chain.through", c.Through, workload)
	p.list("chain.not_through", c.NotThrough, workload)
	_ = p.links(int64(c.MaxLinks))
}

// links is a number of links, 0 if it is not one that can be demanded.
func (p *problems) links(n int64) int {
	if n < 0 || n > callchain.MaxLinks {
		p.add("chain.max_links", "%d is not 1 to %d", n, callchain.MaxLinks)
		return 0
	}
	return int(n)
}

func (p *problems) stream(s Stream) {
	switch {
	case s.Expiry > ExpiryCloseAtExp:
		p.add("stream.expiry", "is %s", s.Expiry)
	case s.Expiry == ExpiryGrace && s.Grace == 0:
		p.add("stream.grace", "is missing")
	case s.Expiry != ExpiryGrace && s.Grace != 0:
		p.add("stream.grace", "is for STREAM_EXPIRY_GRACE only")
	case s.Grace < 0 || s.Grace > trat.MaxLifetime:
		p.add("stream.grace", "want more than 0s and at most %s", trat.MaxLifetime)
	}
	positive := func(field string, d time.Duration) {
		if d < 0 {
			p.add(field, "want more than 0s")
		}
	}
	positive("stream.max_age", s.MaxAge)
	positive("stream.drain", s.Drain)
}

func (p *problems) bindings(list []Binding) {
	p.length("bindings", len(list))
	for i, err := range binding.Problems(list) {
		p.addEntry("bindings", i, "%v", err)
	}
}

// lists checks lists of which each must be satisfied.
func (p *problems) lists(field string, lists [][]string, check func(string) error) {
	p.length(field, len(lists))
	for _, list := range lists {
		if len(list) == 0 {
			p.add(field, "a list names none, which nothing satisfies")
		}
		p.list(field, list, check)
	}
}

// list checks a list of different texts.
func (p *problems) list(field string, list []string, check func(string) error) {
	p.length(field, len(list))
	seen := make(map[string]bool, len(list))
	for i, text := range list {
		switch err := check(text); {
		case len(text) > syntax.MaxText:
			p.addEntry(field, i, "%s is longer than %d bytes", syntax.Shown(text), syntax.MaxText)
		case err != nil:
			p.addEntry(field, i, "%s: %v", syntax.Shown(text), err)
		case seen[text]:
			p.addEntry(field, i, "%s is there twice", syntax.Shown(text))
		}
		seen[text] = true
	}
}

func (p *problems) length(field string, n int) {
	if n > syntax.MaxEntries {
		p.add(field, "%d entries, at most %d are allowed", n, syntax.MaxEntries)
	}
}

func (p *problems) text(field, text string) {
	if len(text) > syntax.MaxText {
		p.add(field, "longer than %d bytes", syntax.MaxText)
	}
}

// CheckScopeToken reports why a text is not exactly one scope token.
func CheckScopeToken(text string) error {
	scope, err := trat.ParseScope(text)
	if err == nil && !scope.Contains(text) {
		return errors.New("is not one scope token")
	}
	return err
}

func anyText(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("is empty")
	}
	return nil
}
