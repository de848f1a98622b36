package interceptors

import (
	"fmt"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// MethodRule is what a guard has in force for one registered method, for logs at start and
// for tests. It holds what was written, and nothing of any call.
type MethodRule struct {
	// FullMethod is "/pkg.Service/Method".
	FullMethod string
	// Exempt is why the method needs no TraT; empty if it does.
	Exempt string
	// Enforcement is how strictly the rule is enforced at present; zero for an exempt method.
	Enforcement Enforcement
	// Demands are what the rule says, defaults filled in, each with its field in trat.v1.Rule:
	// "scopes: order.create", "chain.mode: path". What only code says is there by number:
	// "callers: 2 matchers in code".
	Demands []string
	// Sources say where the rule was written, such as "method option shop.v1.Orders.Create",
	// "field option shop.v1.CreateRequest.amount", "code /shop.v1.Orders/*".
	Sources []string
}

// MethodRules returns what is in force, in the order of the methods' names; nil until
// CheckCoverage has passed. Safe for concurrent use.
func (s *Server) MethodRules() []MethodRule {
	methods := s.methods.Load()
	if methods == nil {
		return nil
	}
	all := make([]MethodRule, 0, len(*methods))
	for _, fullMethod := range sortedKeys(*methods) {
		m := (*methods)[fullMethod]
		described := MethodRule{FullMethod: fullMethod}
		if m.exempt {
			described.Exempt = m.why
		} else {
			described.Enforcement, described.Demands = m.enforcement(), m.demands()
		}
		for _, source := range m.program.Rule.Sources {
			described.Sources = append(described.Sources, source.String())
		}
		all = append(all, described)
	}
	return all
}

// demands lists what the method's rule says.
func (m *method) demands() []string {
	var d demands
	r := &m.program.Rule
	d.add("scopes", r.Scopes...)
	for _, list := range r.AnyScopes {
		d.add("any_scopes", list...)
	}
	d.add("tctx", r.Tctx...)
	for _, list := range r.Callers {
		d.add("callers", list...)
	}
	d.inCode("callers", "matchers", len(m.callers))
	d.chain(r.Chain)
	d.inCode("chain.through", "matchers", len(m.through)-len(r.Chain.Through))
	d.inCode("chain.not_through", "matchers", len(m.notThrough)-len(r.Chain.NotThrough))
	d.add("replay", r.Replay.String())
	d.stream(r.Stream)
	for _, condition := range r.When {
		d.add("when", condition)
	}
	for _, binding := range r.Bindings {
		d.add("bindings", binding.String())
	}
	if r.Evaluation != nil {
		d.add("access_evaluation", r.Evaluation.String())
	}
	d.inCode("request", "checks", len(m.checks)+len(m.messageChecks))
	return d
}

type demands []string

// add adds what field says, if it says anything.
func (d *demands) add(field string, said ...string) {
	if text := strings.Join(said, ", "); text != "" {
		*d = append(*d, field+": "+text)
	}
}

// inCode adds how many of what there are that have no text.
func (d *demands) inCode(field, what string, n int) {
	if n > 0 {
		d.add(field, fmt.Sprintf("%d %s in code", n, what))
	}
}

func (d *demands) chain(c rules.Chain) {
	d.add("chain.mode", c.Mode.String())
	d.add("chain.through", c.Through...)
	d.add("chain.not_through", c.NotThrough...)
	if c.MaxLinks > 0 {
		d.add("chain.max_links", fmt.Sprint(c.MaxLinks))
	}
	if c.StrictTrace {
		d.add("chain.strict_trace", "true")
	}
}

func (d *demands) stream(s rules.Stream) {
	d.add("stream.expiry", s.Expiry.String())
	for _, setting := range []struct {
		field string
		value time.Duration
	}{{"stream.grace", s.Grace}, {"stream.max_age", s.MaxAge}, {"stream.drain", s.Drain}} {
		if setting.value > 0 {
			d.add(setting.field, setting.value.String())
		}
	}
}
