package policy

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// unexplainedLifetime is the longest lifetime that needs no reason.
const unexplainedLifetime = 120 * time.Second

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// readRule reads the rule n, the position-th of the file.
func (r *reader) readRule(n *yaml.Node, position int) *rule {
	r.rule, r.cost = label(n, position), 0
	defer func() { r.rule = "" }()

	rule := &rule{line: n.Line, lifetime: trat.DefaultLifetime}
	members := r.mapping(n, "")
	present := make(map[string]*yaml.Node, len(members))
	for _, m := range members {
		present[m.key.Value] = m.value
		r.readKey(rule, m)
	}
	if n.Kind == yaml.MappingNode {
		r.readExpressions(rule, present)
		r.checkRule(rule, present)
	}
	return rule
}

// label says which rule or test a problem is in: its name, if that can be had, or its
// position.
func label(n *yaml.Node, position int) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if value := n.Content[i+1]; n.Content[i].Value == "name" && value.ShortTag() == "!!str" && value.Value != "" {
				return strconv.Quote(value.Value)
			}
		}
	}
	return "#" + strconv.Itoa(position)
}

// readKey reads one key of a rule.
func (r *reader) readKey(rule *rule, m member) {
	n, field := m.value, m.key.Value
	switch field {
	case "name":
		rule.name = r.name(n, field)
	case "requester":
		rule.requester = r.requester(n, field)
	case "subject_tokens":
		rule.types = r.texts(n, field, checkType)
	case "issuers":
		rule.issuers = r.texts(n, field, checkIssuer)
	case "scopes":
		rule.scopes = r.scopes(n, field)
	case "grants":
		rule.grants = newSet(r.texts(n, field, checkScope))
	case "claims":
		rule.claims = r.claims(n, field)
	case "narrow":
		rule.narrow = r.boolean(n, field)
	case "access_evaluation":
		rule.evaluation = r.evaluation(n, field)
	case "lifetime":
		rule.lifetime = r.duration(n, field)
	case "lifetime_reason":
		r.text(n, field)
	case "allow_outlive":
		rule.allowOutlive = r.boolean(n, field)
	case "impersonation":
		rule.impersonation = r.boolean(n, field)
	case "replacement":
		r.replacement(rule, n, field)
	case "when", "tctx", "rctx": // which readExpressions reads
	default:
		r.add(m.key, field, "unknown key")
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
		r.addAt(rule.line, "", "its expressions together may cost too much: %d units of at most %d", r.cost, expr.MaxCost)
	}
}

// checkRule finds what is missing, and keys that contradict each other.
func (r *reader) checkRule(rule *rule, present map[string]*yaml.Node) {
	for _, key := range []string{"name", "requester", "subject_tokens"} {
		if present[key] == nil {
			r.addAt(rule.line, key, "is missing")
		}
	}
	r.checkReplacement(rule, present)
	if rule.replacement == nil {
		r.checkScopes(rule, present)
	}
	if rule.lifetime > unexplainedLifetime && present["lifetime_reason"] == nil {
		r.add(present["lifetime"], "lifetime_reason", "is missing: a lifetime above %s needs one", unexplainedLifetime)
	}
	switch unsigned := slices.Contains(rule.types, trat.TokenTypeUnsignedJSON); {
	case unsigned && !rule.impersonation:
		r.add(present["subject_tokens"], "impersonation", "must be true for %s: its subject is whatever the requester says", trat.TokenTypeUnsignedJSON)
	case !unsigned && rule.impersonation:
		r.add(present["impersonation"], "impersonation", "is only for %s", trat.TokenTypeUnsignedJSON)
	}
	if r.service != nil {
		r.checkService(rule, present)
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
		r.addAt(rule.line, "scopes", "neither scopes nor grants: the rule grants nothing")
	}
	if len(rule.types) == 0 {
		return
	}
	if grants == nil && scopes != nil && slices.ContainsFunc(rule.types, hasScope) {
		for _, uri := range rule.types {
			if !hasScope(uri) {
				r.add(element(present["subject_tokens"], uri), "subject_tokens", "%q has no scope of its own: without grants the rule is never for it", uri)
			}
		}
	}
	if scopes != nil && !slices.ContainsFunc(rule.types, hasScope) {
		r.add(scopes, "scopes", "none of the subject_tokens has a scope of its own; use grants")
	}
	if issuers := present["issuers"]; issuers != nil && !slices.ContainsFunc(rule.types, hasIssuer) {
		r.add(issuers, "issuers", "none of the subject_tokens has an issuer other than the requester")
	}
}

func (r *reader) evaluation(n *yaml.Node, field string) *Evaluation {
	e := &Evaluation{}
	for _, m := range r.mapping(n, field) {
		switch key := field + "." + m.key.Value; m.key.Value {
		case "pdp":
			e.PDP = r.name(m.value, key)
		case "on_error":
			switch r.text(m.value, key) {
			case "deny":
			case "allow":
				e.FailOpen = true
			default:
				r.add(m.value, key, "want deny or allow")
			}
		default:
			r.add(m.key, key, "unknown key")
		}
	}
	if n.Kind == yaml.MappingNode && !slices.ContainsFunc(n.Content, func(k *yaml.Node) bool { return k.Value == "pdp" }) {
		r.add(n, field+".pdp", "is missing")
	}
	return e
}

// name reads the name of a rule or a policy decision point.
func (r *reader) name(n *yaml.Node, field string) string {
	name := r.text(n, field)
	if name != "" && !namePattern.MatchString(name) {
		r.add(n, field, "want 1 to 64 letters, digits, '.', '_' and '-'")
	}
	return name
}

// duration reads a time in whole seconds, from 1 s to the most that any TraT lives. After
// a problem it is what a TraT has by default.
func (r *reader) duration(n *yaml.Node, field string) time.Duration {
	if n.ShortTag() != "!!str" {
		r.add(n, field, "want a duration such as 15s, not %s", kind(n))
		return trat.DefaultLifetime
	}
	d, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		r.add(n, field, "want a duration such as 15s")
	case d < time.Second || d%time.Second != 0:
		r.add(n, field, "want whole seconds, at least 1s")
	case d > trat.MaxLifetime:
		r.add(n, field, "is above %s, the most that any TraT lives", trat.MaxLifetime)
	default:
		return d
	}
	return trat.DefaultLifetime
}
