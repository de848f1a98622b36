package policytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/internal/samejson"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// expectation is what a test wants: a grant, or else a reason. Nil is what it does not
// care about.
type expectation struct {
	rule   *string
	reason trat.Reason
	field  *string
	grant  *wantedGrant
}

type wantedGrant struct {
	scope        trat.Scope
	tctx, rctx   trat.Object
	lifetime     *time.Duration
	allowOutlive *bool
	evaluation   *policy.Evaluation
	replacement  *policy.Replacement
	dropped      []string // nil: do not care
}

func (r *reader) expectation(n *yaml.Node) expectation {
	var e expectation
	for _, m := range r.Mapping(n, "want") {
		switch field := "want." + m.Key.Value; m.Key.Value {
		case "rule":
			rule := r.Text(m.Value, field)
			e.rule = &rule
		case "reason":
			e.reason = r.reason(m.Value, field)
		case "field":
			name := r.Text(m.Value, field)
			e.field = &name
		case "grant":
			e.grant = r.wantedGrant(m.Value, field)
		default:
			r.Add(m.Key, field, "unknown key")
		}
	}
	switch {
	case n.Kind != yaml.MappingNode:
	case e.grant == nil && e.reason == "":
		r.Add(n, "want", "neither grant nor reason")
	case e.grant != nil && (e.reason != "" || e.field != nil):
		r.Add(n, "want", "a grant has no reason and no field")
	}
	return e
}

// reasons are those that a policy refuses with.
var reasons = []trat.Reason{
	trat.ReasonIssuanceDenied, trat.ReasonScopeExceeded, trat.ReasonSubjectScopeUnknown, trat.ReasonParameterMissing,
	trat.ReasonParameterInvalid, trat.ReasonReplacementDenied, trat.ReasonReplacementLimit, trat.ReasonTokenTooLarge,
	trat.ReasonInternal,
}

// reason reads the word of a reason. Another than a policy has would be a test that cannot
// pass.
func (r *reader) reason(n *yaml.Node, field string) trat.Reason {
	reason := trat.Reason(r.Text(n, field))
	if reason != "" && !slices.Contains(reasons, reason) {
		r.Add(n, field, "%q is not a reason that a policy refuses with", string(reason))
	}
	return reason
}

func (r *reader) wantedGrant(n *yaml.Node, field string) *wantedGrant {
	g := &wantedGrant{}
	for _, m := range r.Mapping(n, field) {
		switch field := field + "." + m.Key.Value; m.Key.Value {
		case "scope":
			g.scope = r.scope(m.Value, field)
		case "tctx":
			g.tctx = r.Object(m.Value, field)
		case "rctx":
			g.rctx = r.Object(m.Value, field)
		case "lifetime":
			lifetime := r.Lifetime(m.Value, field)
			g.lifetime = &lifetime
		case "allow_outlive":
			outlive := r.Boolean(m.Value, field)
			g.allowOutlive = &outlive
		case "access_evaluation":
			g.evaluation = &policy.Evaluation{}
			g.evaluation.PDP, g.evaluation.FailOpen = r.Evaluation(m.Value, field)
		case "replacement":
			g.replacement = r.wantedReplacement(m.Value, field)
		case "dropped":
			g.dropped = []string{}
			for _, e := range r.Sequence(m.Value, field) {
				g.dropped = append(g.dropped, r.Text(e, field))
			}
		default:
			r.Add(m.Key, field, "unknown key")
		}
	}
	if n.Kind == yaml.MappingNode && g.scope.IsZero() {
		r.Add(n, field+".scope", "is missing: there is no grant without")
	}
	return g
}

func (r *reader) wantedReplacement(n *yaml.Node, field string) *policy.Replacement {
	re := &policy.Replacement{MaxAge: trat.MaxLifetime}
	for _, m := range r.Mapping(n, field) {
		switch key := field + "." + m.Key.Value; m.Key.Value {
		case "extend_lifetime":
			re.ExtendLifetime = r.Boolean(m.Value, key)
		case "max_age":
			re.MaxAge = r.Lifetime(m.Value, key)
		case "receipt":
			re.HeadReceipt = r.HeadReceipt(m.Value, key)
		default:
			r.Add(m.Key, key, "unknown key")
		}
	}
	return re
}

// differences says where the outcome is not as wanted.
func (e expectation) differences(got policy.Explanation) []string {
	var d differences
	switch {
	case e.grant == nil && got.Err == nil:
		d.add("reason", string(e.reason), "a grant")
	case e.grant == nil:
		d.add("reason", string(e.reason), string(got.Reason()))
		if e.field != nil {
			d.add("field", *e.field, fieldOf(got.Err))
		}
	case got.Err != nil:
		d.add("outcome", "a grant", got.Err.Error())
	default:
		e.grant.compare(&d, got.Grant)
	}
	if e.rule != nil {
		d.add("rule", *e.rule, got.Rule)
	}
	return d
}

func fieldOf(err error) string {
	var e *trat.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Field
}

func (g *wantedGrant) compare(d *differences, got policy.Grant) {
	d.add("scope", sortedScope(g.scope), sortedScope(got.Scope))
	d.object("tctx", g.tctx, got.TransactionContext)
	d.object("rctx", g.rctx, got.RequestContext)
	if g.lifetime != nil {
		d.add("lifetime", g.lifetime.String(), got.Lifetime.String())
	}
	if g.allowOutlive != nil {
		d.add("allow_outlive", fmt.Sprint(*g.allowOutlive), fmt.Sprint(got.AllowOutlive))
	}
	if g.evaluation != nil {
		d.add("access_evaluation", evaluationText(g.evaluation), evaluationText(got.Evaluation))
	}
	if g.replacement != nil {
		d.add("replacement", replacementText(g.replacement), replacementText(got.Replacement))
	}
	if g.dropped != nil {
		d.add("dropped", strings.Join(slices.Sorted(slices.Values(g.dropped)), " "), strings.Join(got.Dropped, " "))
	}
}

func evaluationText(e *policy.Evaluation) string {
	switch {
	case e == nil:
		return ""
	case e.FailOpen:
		return e.PDP + ", on error allow"
	default:
		return e.PDP + ", on error deny"
	}
}

func replacementText(r *policy.Replacement) string {
	if r == nil {
		return ""
	}
	receipt := "path"
	if r.HeadReceipt {
		receipt = "head"
	}
	return fmt.Sprintf("extend_lifetime %v, max_age %s, receipt %s", r.ExtendLifetime, r.MaxAge, receipt)
}

func sortedScope(s trat.Scope) string {
	return strings.Join(slices.Sorted(s.Tokens()), " ")
}

// differences are sentences about what came out otherwise than wanted.
type differences []string

func (d *differences) add(what, want, got string) {
	if want != got {
		*d = append(*d, fmt.Sprintf("%s: want %s, got %s", what, orNothing(want), orNothing(got)))
	}
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// object compares values, not texts; absent and empty are the same.
func (d *differences) object(what string, want, got trat.Object) {
	if !samejson.Equal(want.JSON(), got.JSON()) {
		d.add(what, want.JSON(), got.JSON())
	}
}
