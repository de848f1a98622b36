package policy

import (
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// unexplainedLifetime is the longest lifetime that needs no reason.
const unexplainedLifetime = 120 * time.Second

// readRule reads the rule n, the position-th of the file.
func (r *reader) readRule(n *yaml.Node, position int) *rule {
	r.Within, r.cost = yamlfile.Label(n, position), 0
	defer func() { r.Within = "" }()

	rule := &rule{line: n.Line, lifetime: trat.DefaultLifetime}
	members := r.Mapping(n, "")
	present := make(map[string]*yaml.Node, len(members))
	for _, m := range members {
		present[m.Key.Value] = m.Value
		r.readKey(rule, m)
	}
	if n.Kind == yaml.MappingNode {
		r.readExpressions(rule, present)
		r.checkRule(rule, present)
	}
	return rule
}

// readKey reads one key of a rule.
func (r *reader) readKey(rule *rule, m yamlfile.Member) {
	n, field := m.Value, m.Key.Value
	switch field {
	case "name":
		rule.name = r.Name(n, field)
	case "requester":
		rule.requester = r.requester(n, field)
	case "subject_tokens":
		rule.types = r.Texts(n, field, r.checkType)
	case "issuers":
		rule.issuers = r.Texts(n, field, checkIssuer)
	case "scopes":
		rule.scopes = r.scopes(n, field)
	case "grants":
		rule.grants = newSet(r.Texts(n, field, checkScope))
	case "claims":
		rule.claims = r.claims(n, field)
	case "narrow":
		rule.narrow = r.Boolean(n, field)
	case "access_evaluation":
		rule.evaluation = &Evaluation{}
		rule.evaluation.PDP, rule.evaluation.FailOpen = r.Evaluation(n, field)
	case "lifetime":
		rule.lifetime = r.Lifetime(n, field)
	case "lifetime_reason":
		r.Text(n, field)
	case "allow_outlive":
		rule.allowOutlive = r.Boolean(n, field)
	case "impersonation":
		rule.impersonation = r.Boolean(n, field)
	case "replacement":
		r.replacement(rule, n, field)
	case "when", "tctx", "rctx", "satisfies": // which readExpressions and checkRule read
	default:
		r.Add(m.Key, field, "unknown key")
	}
}

// readExpressions reads the keys whose meaning depends on others: which variables there
// are depends on the type of the subject token.
func (r *reader) readExpressions(rule *rule, present map[string]*yaml.Node) {
	replaces := slices.Contains(rule.types, trat.TokenType)
	if n := present["when"]; n != nil {
		rule.when = r.expression(n, "when", expr.Condition, replaces)
	}
	if n := present["tctx"]; n != nil {
		rule.tctx = r.constructions(n, "tctx", replaces)
	}
	if n := present["rctx"]; n != nil {
		rule.rctx = r.constructions(n, "rctx", replaces)
	}
	if r.cost > expr.MaxCost {
		r.AddAt(rule.line, "", "its expressions together may cost too much: %d units of at most %d", r.cost, expr.MaxCost)
	}
}

// checkRule finds what is missing, and keys that contradict each other.
func (r *reader) checkRule(rule *rule, present map[string]*yaml.Node) {
	for _, key := range []string{"name", "requester", "subject_tokens"} {
		if present[key] == nil {
			r.AddAt(rule.line, key, "is missing")
		}
	}
	r.checkReplacement(rule, present)
	if rule.replacement == nil {
		r.checkScopes(rule, present)
	}
	if rule.lifetime > unexplainedLifetime && present["lifetime_reason"] == nil {
		r.Add(present["lifetime"], "lifetime_reason", "is missing: a lifetime above %s needs one", unexplainedLifetime)
	}
	switch unsigned := slices.Contains(rule.types, trat.TokenTypeUnsignedJSON); {
	case unsigned && !rule.impersonation:
		r.Add(present["subject_tokens"], "impersonation", "must be true for %s: its subject is whatever the requester says", trat.TokenTypeUnsignedJSON)
	case !unsigned && rule.impersonation:
		r.Add(present["impersonation"], "impersonation", "is only for %s", trat.TokenTypeUnsignedJSON)
	}
	if r.service != nil {
		r.checkService(rule, present)
	}
	if n := present["satisfies"]; n != nil {
		r.checkSatisfies(rule, n)
	}
}

// checkScopes finds the scopes that the rule can grant, and keys that do not go with its
// subject tokens.
func (r *reader) checkScopes(rule *rule, present map[string]*yaml.Node) {
	rule.reach = maps.Clone(rule.grants)
	if rule.reach == nil {
		rule.reach = make(set)
	}
	for _, internal := range rule.scopes {
		for _, scope := range internal {
			rule.reach[scope] = struct{}{}
		}
	}
	scopes, grants := present["scopes"], present["grants"]
	if scopes == nil && grants == nil && !slices.Contains(rule.types, trat.TokenType) {
		r.AddAt(rule.line, "scopes", "neither scopes nor grants: the rule grants nothing")
	}
	if len(rule.types) == 0 {
		return
	}
	if grants == nil && scopes != nil && slices.ContainsFunc(rule.types, hasScope) {
		for _, uri := range rule.types {
			if !hasScope(uri) {
				r.Add(element(present["subject_tokens"], uri), "subject_tokens", "%q has no scope of its own: without grants the rule is never for it", uri)
			}
		}
	}
	if scopes != nil && !slices.ContainsFunc(rule.types, hasScope) {
		r.Add(scopes, "scopes", "none of the subject_tokens has a scope of its own; use grants")
	}
	if issuers := present["issuers"]; issuers != nil && !slices.ContainsFunc(rule.types, hasIssuer) {
		r.Add(issuers, "issuers", "none of the subject_tokens has an issuer other than the requester")
	}
}
