package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// unexplainedLifetime is the longest lifetime that needs no reason.
const unexplainedLifetime = 120 * time.Second

const maxKeySize = 64

var ruleName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// readRule reads the rule n, the position-th of the file.
func (r *reader) readRule(n *yaml.Node, position int) *rule {
	r.rule = label(n, position)
	defer func() { r.rule = "" }()

	rule := &rule{line: n.Line, lifetime: trat.DefaultLifetime}
	members := r.mapping(n, "")
	present := make(map[string]*yaml.Node, len(members))
	for _, m := range members {
		present[m.key.Value] = m.value
		r.readKey(rule, m)
	}
	if n.Kind == yaml.MappingNode {
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
		if rule.name = r.text(n, field); rule.name != "" && !ruleName.MatchString(rule.name) {
			r.add(n, field, "want 1 to 64 letters, digits, '.', '_' and '-'")
		}
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
	case "request_context":
		rule.copyContext = r.texts(n, field, checkKey)
	case "add_request_context":
		rule.addContext = r.constants(n, field)
	case "request_details":
		r.details(rule, n, field)
	case "lifetime":
		rule.lifetime = r.lifetime(n, field)
	case "lifetime_reason":
		r.text(n, field)
	case "allow_outlive":
		rule.allowOutlive = r.boolean(n, field)
	case "impersonation":
		rule.impersonation = r.boolean(n, field)
	default:
		r.add(m.key, field, "unknown key")
	}
}

// checkRule finds what is missing, and keys that contradict each other.
func (r *reader) checkRule(rule *rule, present map[string]*yaml.Node) {
	for _, key := range []string{"name", "requester", "subject_tokens"} {
		if present[key] == nil {
			r.addAt(rule.line, key, "is missing")
		}
	}
	rule.reach = newSet(nil)
	for _, internal := range rule.scopes {
		for _, scope := range internal {
			rule.reach[scope] = struct{}{}
		}
	}
	for scope := range rule.grants {
		rule.reach[scope] = struct{}{}
	}
	scopes, grants := present["scopes"], present["grants"]
	if scopes == nil && grants == nil {
		r.addAt(rule.line, "scopes", "neither scopes nor grants: the rule grants nothing")
	}
	if len(rule.types) > 0 && !slices.ContainsFunc(rule.types, hasScope) {
		if scopes != nil {
			r.add(scopes, "scopes", "none of the subject_tokens has a scope of its own; use grants")
		}
	}
	if len(rule.types) > 0 && !slices.ContainsFunc(rule.types, hasIssuer) {
		if issuers := present["issuers"]; issuers != nil {
			r.add(issuers, "issuers", "none of the subject_tokens has an issuer other than the requester")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rule.addContext)) {
		if slices.Contains(rule.copyContext, key) {
			r.add(present["add_request_context"], "add_request_context", "%q is also copied by request_context", key)
		}
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

func (r *reader) requester(n *yaml.Node, field string) requester {
	pattern := r.text(n, field)
	if pattern == "" {
		return requester{}
	}
	matches, err := spiffecreds.MatchPattern(pattern)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil { // without the name of a Go package
			err = cause
		}
		r.add(n, field, "want a SPIFFE ID such as spiffe://shop.test/gateway, not %q: %v", pattern, err)
		return requester{}
	}
	return requester{segments: segments(pattern), matches: matches}
}

func (r *reader) scopes(n *yaml.Node, field string) map[string][]string {
	members := r.mapping(n, field)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.add(n, field, "the mapping is empty")
	}
	scopes := make(map[string][]string, len(members))
	for _, m := range members {
		if err := checkScope(m.key.Value); err != nil {
			r.add(m.key, field, "%q: %v", m.key.Value, err)
			continue
		}
		scopes[m.key.Value] = r.texts(m.value, field+"."+m.key.Value, checkScope)
	}
	return scopes
}

func (r *reader) constants(n *yaml.Node, field string) map[string]string {
	members := r.mapping(n, field)
	constants := make(map[string]string, len(members))
	for _, m := range members {
		if err := checkKey(m.key.Value); err != nil {
			r.add(m.key, field, "%q: %v", m.key.Value, err)
			continue
		}
		constants[m.key.Value] = r.text(m.value, field+"."+m.key.Value)
	}
	return constants
}

func (r *reader) details(rule *rule, n *yaml.Node, field string) {
	for _, m := range r.mapping(n, field) {
		switch key := field + "." + m.key.Value; m.key.Value {
		case "required":
			rule.requiredDetails = r.texts(m.value, key, checkKey)
		case "optional":
			rule.optionalDetails = r.texts(m.value, key, checkKey)
		default:
			r.add(m.key, key, "unknown key")
		}
	}
	for _, key := range rule.optionalDetails {
		if slices.Contains(rule.requiredDetails, key) {
			r.add(n, field, "%q is both required and optional", key)
		}
	}
}

func (r *reader) lifetime(n *yaml.Node, field string) time.Duration {
	if n.ShortTag() != "!!str" {
		r.add(n, field, "want a duration such as 15s, not %s", kind(n))
		return trat.DefaultLifetime
	}
	lifetime, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		r.add(n, field, "want a duration such as 15s")
	case lifetime < time.Second || lifetime%time.Second != 0:
		r.add(n, field, "want whole seconds, at least 1s")
	case lifetime > trat.MaxLifetime:
		r.add(n, field, "is above %s, the most that any TraT lives", trat.MaxLifetime)
	default:
		return lifetime
	}
	return trat.DefaultLifetime
}

// hasScope says whether subject tokens of this type may have a scope of their own.
// Of a type that is not known here they may.
func hasScope(subjectTokenType string) bool {
	return subjectTokenType != trat.TokenTypeIDToken && hasIssuer(subjectTokenType)
}

// hasIssuer says whether subject tokens of this type have an issuer other than the
// requester.
func hasIssuer(subjectTokenType string) bool {
	return subjectTokenType != trat.TokenTypeSelfSigned && subjectTokenType != trat.TokenTypeUnsignedJSON
}

func checkType(uri string) error {
	switch u, err := url.Parse(uri); {
	case err != nil || !u.IsAbs():
		return errors.New("want an absolute URI")
	case uri == trat.TokenTypeRefreshToken:
		return errors.New("a refresh token is never a subject token")
	case uri == trat.TokenType:
		return errors.New("replacing a TraT is not supported")
	}
	return nil
}

func checkIssuer(issuer string) error {
	if u, err := url.Parse(issuer); err != nil || u.Scheme == "" || u.Host == "" {
		return errors.New("want a URL, exactly as in the claim iss")
	}
	return nil
}

func checkScope(token string) error {
	if strings.Contains(token, " ") {
		return errors.New("want one scope, not several")
	}
	if _, err := trat.ParseScope(token); err != nil {
		return errors.New("want a scope as in RFC 6749 section 3.3")
	}
	return nil
}

func checkKey(key string) error {
	if key == "" || len(key) > maxKeySize {
		return fmt.Errorf("want a key of 1 to %d bytes", maxKeySize)
	}
	return nil
}

func newSet(values []string) set {
	s := make(set, len(values))
	for _, v := range values {
		s[v] = struct{}{}
	}
	return s
}
