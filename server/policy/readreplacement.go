package policy

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/trat"
)

// replacement reads the key of that name, and what the rule may grant with it.
func (r *reader) replacement(rule *rule, n *yaml.Node, field string) {
	re := &replacement{maxCount: DefaultMaxReplacements, maxAge: trat.MaxLifetime, maxVisits: DefaultMaxVisits}
	rule.replacement = re
	var scopes []string
	for _, m := range r.Mapping(n, field) {
		switch key := field + "." + m.Key.Value; m.Key.Value {
		case "scopes":
			scopes = r.Texts(m.Value, key, checkScope)
		case "extend_lifetime":
			re.extendLifetime = r.Boolean(m.Value, key)
		case "max_count":
			re.maxCount = r.integer(m.Value, key, trat.MaxWorkloadChain-1)
		case "max_age":
			re.maxAge = r.Lifetime(m.Value, key)
		case "max_visits":
			re.maxVisits = r.integer(m.Value, key, trat.MaxWorkloadChain)
		case "receipt":
			re.headReceipt = r.HeadReceipt(m.Value, key)
		default:
			r.Add(m.Key, key, "unknown key")
		}
	}
	rule.reach = newSet(scopes)
	if n.Kind == yaml.MappingNode && scopes == nil {
		r.Add(n, field+".scopes", "is missing: the rule grants nothing")
	}
}

// replacementKeys are keys that have no meaning in a rule for transaction tokens, and
// why.
var replacementKeys = []struct{ key, because string }{
	{"issuers", "transaction tokens have the one issuer that this service is"},
	{"claims", "a transaction token has no claims of an identity provider; use when"},
	{"scopes", "use replacement.scopes"},
	{"grants", "use replacement.scopes"},
	{"allow_outlive", "use replacement.extend_lifetime"},
}

// checkReplacement finds a rule for transaction tokens that is not for them alone, or does
// not say so, and keys that do not fit.
func (r *reader) checkReplacement(rule *rule, present map[string]*yaml.Node) {
	replaces := slices.Contains(rule.types, trat.TokenType)
	switch {
	case replaces && len(rule.types) > 1:
		r.Add(present["subject_tokens"], "subject_tokens", "transaction tokens need a rule of their own")
	case replaces && rule.replacement == nil:
		r.Add(present["subject_tokens"], "replacement", "is missing: no TraT is replaced without")
	case !replaces && rule.replacement != nil && len(rule.types) > 0:
		r.Add(present["replacement"], "replacement", "is only for %s", trat.TokenType)
		return
	}
	if rule.replacement == nil {
		return
	}
	for _, no := range replacementKeys {
		if n := present[no.key]; n != nil {
			r.Add(n, no.key, "is not for replacements: %s", no.because)
		}
	}
}

// integer reads an integer from 1 to most.
func (r *reader) integer(n *yaml.Node, field string, most int) int {
	var value int
	if n.ShortTag() != "!!int" || n.Decode(&value) != nil || value < 1 || value > most {
		r.Add(n, field, "want a number from 1 to %d", most)
		return 1
	}
	return value
}
