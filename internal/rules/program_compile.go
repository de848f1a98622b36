package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Compile compiles rule for one method. All problems are reported at once, each with the
// method and the rule's field.
func Compile(rule Rule, target Target) (*Program, error) {
	p := &Program{Rule: Effective(rule, target), service: target.Service(), input: target.Input}
	c := compiler{target: target, problems: rule.problems()}
	c.fits(&p.Rule)
	if len(c.problems) > 0 {
		// What follows would say the same again in other words.
		return nil, c.err(&rule)
	}
	if rule.Exempt != "" {
		return p, nil
	}
	for _, list := range rule.Callers {
		p.callers = append(p.callers, c.workloads("callers", list))
	}
	p.Through = c.matchers("chain.through", rule.Chain.Through)
	p.NotThrough = c.matchers("chain.not_through", rule.Chain.NotThrough)
	if len(rule.Tctx) > 0 {
		paths := make([][]string, len(rule.Tctx))
		for i, path := range rule.Tctx {
			paths[i] = strings.Split(path, ".")
		}
		p.members = trat.NewPaths(paths...)
	}
	c.conditions(p)
	c.compileBindings(p)
	c.evaluation(p)
	if len(c.problems) > 0 {
		return nil, c.err(&rule)
	}
	p.compiled = true
	return p, nil
}

// compiler collects what is wrong with a rule for one method.
type compiler struct {
	target   Target
	problems problems
}

func (c *compiler) err(rule *Rule) error {
	return c.problems.err(fmt.Sprintf("rule of %s (%s)", c.target.FullMethod, rule.from()))
}

// fits finds what the method is not fit for, and parts of the rule that exclude each other.
// In rule the defaults are filled in.
func (c *compiler) fits(rule *Rule) {
	if rule.Exempt != "" {
		return
	}
	if rule.Stream != (Stream{}) && !c.target.Streams() {
		c.problems.add("stream", "the method does not stream")
	}
	switch chain := rule.Chain; chain.Mode {
	case ChainHead, ChainOff:
		if len(rule.Callers) == 0 && !c.target.CallersByCode {
			c.problems.add("chain.mode", "%s needs callers", chain.Mode)
		}
		if len(chain.Through)+len(chain.NotThrough)+chain.MaxLinks > 0 {
			c.problems.add("chain", "through, not_through and max_links are for mode path, and it is %s", chain.Mode)
		}
		if chain.StrictTrace && chain.Mode == ChainOff {
			c.problems.add("chain.strict_trace", "needs a chain, and the mode is off")
		}
	default:
	}
}

func (c *compiler) workloads(field string, list []string) []spiffecreds.Pattern {
	patterns, err := parseWorkloads(list, c.target.TrustDomain)
	if err != nil {
		c.problems.add(field, "%v", err)
	}
	return patterns
}

func (c *compiler) matchers(field string, list []string) []spiffeid.Matcher {
	var matchers []spiffeid.Matcher
	for _, pattern := range c.workloads(field, list) {
		matchers = append(matchers, func(id spiffeid.ID) error {
			if !pattern.Match(id) {
				return errOtherWorkload
			}
			return nil
		})
	}
	return matchers
}

var errOtherWorkload = errors.New("another workload")

func (c *compiler) conditions(p *Program) {
	for i, source := range p.Rule.When {
		condition, err := compileCondition(source, c.target.Input)
		switch {
		case err != nil:
			c.problems.addEntry("when", i, "%s: %v", syntax.Shown(source), err)
		case condition.namesChain && p.Rule.Chain.Mode == ChainOff:
			c.problems.addEntry("when", i, "%s: names chain, and chain.mode is off", syntax.Shown(source))
		case condition.namesRequest:
			p.messages = append(p.messages, numbered{whenField(i), condition})
		default:
			p.calls = append(p.calls, numbered{whenField(i), condition})
		}
	}
}

func (c *compiler) compileBindings(p *Program) {
	if len(p.Rule.Bindings) == 0 {
		return
	}
	if c.target.Input == nil {
		c.problems.add("bindings", "the type of the request is not known")
		return
	}
	var err error
	if p.bindings, err = binding.Compile(p.Rule.Bindings, c.target.Input, relations); err != nil {
		c.problems.add("bindings", "%v", err)
	}
}

func (c *compiler) evaluation(p *Program) {
	if p.Rule.Evaluation == nil || p.Rule.Evaluation.ResourceID == "" {
		return
	}
	const field = "access_evaluation.resource_id"
	var err error
	p.resourceID, err = compileText(p.Rule.Evaluation.ResourceID, c.target.Input)
	switch {
	case err != nil:
		c.problems.add(field, "%v", err)
	case p.resourceID.namesRequest && c.target.Streams():
		c.problems.add(field, "names request, and a stream is asked about before there is one")
	case p.resourceID.namesChain && p.Rule.Chain.Mode == ChainOff:
		c.problems.add(field, "names chain, and chain.mode is off")
	}
}
