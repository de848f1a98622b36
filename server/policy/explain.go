package policy

import "github.com/grpc-trat/grpc-trat/trat"

// Explanation says how a decision came about. It holds names and what the policy file
// says, and no values of the request.
type Explanation struct {
	// Grant and Err are what Decide returned.
	Grant Grant
	Err   error
	// Rule is the rule that decided; empty if none did.
	Rule string
	// Rules has every rule of the policy, in the order of the file.
	Rules []RuleExplanation
}

// Reason is why nothing is granted; empty if something is.
func (e Explanation) Reason() trat.Reason {
	reason, _ := trat.ReasonOf(e.Err)
	return reason
}

// RuleExplanation says what a rule had to do with a decision.
type RuleExplanation struct {
	// Name is the rule's, Line is where it stands in the file.
	Name string
	Line int
	// Decided says that the decision is this rule's.
	Decided bool
	// Field is the key of the rule that kept it from deciding, Text says how; both are
	// empty if it decided.
	Field, Text string
}

// Explain is Decide for people. Its cost grows with the number of rules.
func (p *Policy) Explain(r Request) Explanation {
	d := p.newDecision(r)
	grant, rule, err := p.decide(d)
	e := Explanation{Grant: grant, Err: err}
	if rule != nil {
		e.Rule = rule.name
	}
	for _, each := range p.all {
		one := RuleExplanation{Name: each.name, Line: each.line, Decided: each == rule}
		if !one.Decided {
			one.Field, one.Text = each.mismatch(d)
		}
		e.Rules = append(e.Rules, one)
	}
	return e
}

// mismatch says which key of the rule kept it from deciding, and how.
func (r *rule) mismatch(d *decision) (field, text string) {
	if !r.requester.Match(d.request.Requester) {
		return "requester", "another workload asks"
	}
	if field, text := r.excludes(d); field != "" {
		return field, text
	}
	if r.touches(d.request.Scope) {
		return r.scopeKey(), "it can grant only a part of the wanted scope"
	}
	return r.scopeKey(), "it can grant nothing of the wanted scope"
}

// scopeKey is the key that says what the rule can grant.
func (r *rule) scopeKey() string {
	switch {
	case r.replacement != nil:
		return "replacement.scopes"
	case len(r.scopes) > 0:
		return "scopes"
	default:
		return "grants"
	}
}
