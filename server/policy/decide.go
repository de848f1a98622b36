package policy

import (
	"slices"
	"strings"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// decision is one request while it is being decided. It is for one goroutine.
type decision struct {
	request                  Request
	claims, details, context *expr.Record
	input                    *expr.Input // of expressions; nil until one is evaluated
	granted                  trat.Scope
	dropped                  []string
}

func (p *Policy) newDecision(r Request) *decision {
	d := &decision{request: r}
	if p.env != nil {
		d.claims = expr.NewRecord(expr.Claims, p.env.Declared(expr.Claims), r.Subject.Claims)
		d.details = expr.NewRecord(expr.Details, p.env.Declared(expr.Details), r.Details)
		d.context = expr.NewRecord(expr.Context, p.env.Declared(expr.Context), r.Context)
	}
	return d
}

// decide is Decide and the rule that decided, if there is one.
func (p *Policy) decide(d *decision) (Grant, *rule, error) {
	if (d.request.Transaction != nil) != (d.request.SubjectTokenType == trat.TokenType) {
		return Grant{}, nil, trat.Errorf(trat.ReasonInternal, "", "a transaction token to replace is there exactly for %s", trat.TokenType)
	}
	candidates := p.candidates(d)
	if len(candidates) == 0 {
		return Grant{}, nil, trat.Errorf(trat.ReasonIssuanceDenied, "subject_token_type", "no rule for this requester and such a subject token")
	}
	if !d.scopeKnown() && !slices.ContainsFunc(candidates, (*rule).hasGrants) {
		return Grant{}, nil, scopeUnknown()
	}
	r := ruleFor(candidates, d.request.Scope)
	if r == nil {
		return Grant{}, nil, trat.Errorf(trat.ReasonScopeExceeded, "scope", "no rule of this requester grants the wanted scope as a whole")
	}
	grant, err := r.decide(d)
	if err != nil {
		return Grant{Rule: r.name}, r, err
	}
	return grant, r, nil
}

func (d *decision) scopeKnown() bool {
	return d.request.Subject.ScopeKnown || d.request.Transaction != nil
}

func (p *Policy) candidates(d *decision) []*rule {
	var rules []*rule
	for _, r := range p.rules.match(d.request.Requester) {
		if field, _ := r.excludes(d); field == "" {
			rules = append(rules, r)
		}
	}
	return rules
}

func (r *rule) hasGrants() bool { return len(r.grants) > 0 }

// ruleFor returns the one rule that can grant every token of scope; failing that, the
// only one that narrows and can grant a part. It returns nil if there is none or scope is
// empty. There are never two of the first kind: Parse sees to it that no scope belongs to
// two rules for one request.
func ruleFor(rules []*rule, scope trat.Scope) *rule {
	if scope.IsZero() {
		return nil
	}
	var narrowing []*rule
	for _, r := range rules {
		switch {
		case r.reaches(scope):
			return r
		case r.narrow && r.touches(scope):
			narrowing = append(narrowing, r)
		}
	}
	if len(narrowing) == 1 {
		return narrowing[0]
	}
	return nil
}

func scopeUnknown() error {
	return trat.Errorf(trat.ReasonSubjectScopeUnknown, "subject_token", "the subject token has no scope of its own and no rule grants one")
}

// decide is the decision about a request that is this rule's.
func (r *rule) decide(d *decision) (Grant, error) {
	if r.replacement != nil {
		if err := r.replacement.admit(d.request); err != nil {
			return Grant{}, err
		}
	}
	var err error
	if d.granted, err = r.grant(d); err != nil {
		return Grant{}, err
	}
	if err := d.checkTypes(); err != nil {
		return Grant{}, err
	}
	if err := r.test(d); err != nil {
		return Grant{}, err
	}
	tctx, rctx, err := r.construct(d)
	if err != nil {
		return Grant{}, err
	}
	slices.Sort(d.dropped)
	grant := Grant{
		Scope:              d.granted,
		Lifetime:           r.lifetime,
		AllowOutlive:       r.allowOutlive,
		TransactionContext: tctx,
		RequestContext:     rctx,
		Rule:               r.name,
		Dropped:            d.dropped,
	}
	if r.evaluation != nil {
		evaluation := *r.evaluation
		grant.Evaluation = &evaluation
	}
	if r.replacement != nil {
		grant.Replacement = &Replacement{
			ExtendLifetime: r.replacement.extendLifetime, MaxAge: r.replacement.maxAge, HeadReceipt: r.replacement.headReceipt,
		}
	}
	return grant, nil
}

// grant is the scope that may be granted: all that is wanted, or, if the rule narrows,
// what the subject token carries of it. It is never empty.
func (r *rule) grant(d *decision) (trat.Scope, error) {
	if !d.scopeKnown() && !r.hasGrants() {
		return trat.Scope{}, scopeUnknown()
	}
	authority := r.authority(d.request)
	var carried []string
	wanted := 0
	for token := range d.request.Scope.Tokens() {
		wanted++
		if authority.has(token) {
			carried = append(carried, token)
		}
	}
	switch {
	case len(carried) == 0, len(carried) < wanted && !r.narrow:
		return trat.Scope{}, trat.Errorf(trat.ReasonScopeExceeded, "scope", "rule %q: the subject token does not carry the wanted scope", r.name)
	case len(carried) == wanted:
		return d.request.Scope, nil
	}
	return trat.ParseScope(strings.Join(carried, " "))
}
