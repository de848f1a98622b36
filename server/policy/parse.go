package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
)

// MaxFileSize is the largest policy file that Parse reads, in bytes.
const MaxFileSize = 1 << 20

// Parse compiles a policy file. Its error joins a *Problem for each thing that is
// wrong, with line, rule and key; then there is no policy. A rule that names methods whose
// rules it satisfies is one, for it cannot be checked: see ParseWith.
func Parse(text []byte) (*Policy, error) { return parse(text, nil, nil) }

// ParseWith is Parse with the descriptors of services, for rules that name methods whose
// rules they satisfy. What such a rule can never satisfy is a problem. A service that is in
// several descriptors must be satisfied as each of them has it.
func ParseWith(text []byte, descriptors ...Descriptors) (*Policy, error) {
	return parse(text, nil, descriptors)
}

// ParseFor is Parse for the service that the policy is to decide for. What can never
// apply there is a problem too: a requester of another trust domain, an issuer or a
// subject token type that the service does not accept.
func ParseFor(text []byte, service Service) (*Policy, error) {
	return parse(text, &service, service.Descriptors)
}

func parse(text []byte, service *Service, descriptors []Descriptors) (*Policy, error) {
	if len(text) > MaxFileSize {
		return nil, &Problem{Text: fmt.Sprintf("the file is larger than %d bytes", MaxFileSize)}
	}
	r := reader{service: service, descriptors: descriptors}
	rules := r.file(text)
	r.checkNames(rules)
	compiled := r.compile(rules)
	if err := r.Err(newProblem); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return &Policy{version: hex.EncodeToString(sum[:]), env: r.env, rules: compiled, all: rules, pdps: pdps(rules)}, nil
}

// pdps are the policy decision points that rules name, sorted, each once.
func pdps(rules []*rule) []string {
	var names []string
	for _, r := range rules {
		if r.evaluation != nil {
			names = append(names, r.evaluation.PDP)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *reader) file(text []byte) []*rule {
	top := r.Document(text)
	if top == nil {
		return nil
	}
	var (
		version, list *yaml.Node
		declared      expr.Declarations
	)
	for _, m := range r.Mapping(top, "") {
		switch field := m.Key.Value; field {
		case "version":
			version = m.Value
		case "claims":
			declared.Claims = r.declarations(m.Value, expr.Claims)
		case "details":
			declared.Details = r.declarations(m.Value, expr.Details)
		case "context":
			declared.Context = r.declarations(m.Value, expr.Context)
		case "rules":
			list = m.Value
		default:
			r.Add(m.Key, field, "unknown key")
		}
	}
	if top.Kind != yaml.MappingNode {
		return nil // which has been said
	}
	r.Version(top, version)
	if list == nil {
		r.Add(top, "rules", "is missing; a policy that grants nothing says so: rules: []")
		return nil
	}
	r.env = expr.NewEnv(declared)
	var rules []*rule
	for i, n := range r.Sequence(list, "rules") {
		rules = append(rules, r.readRule(n, i+1))
	}
	return rules
}

// checkNames finds names that are used twice.
func (r *reader) checkNames(rules []*rule) {
	first := make(map[string]*rule, len(rules))
	for _, rule := range rules {
		if rule.name == "" {
			continue
		}
		if other, dup := first[rule.name]; dup {
			r.Within = rule.name
			r.AddAt(rule.line, "name", "is also the name of the rule in line %d", other.line)
			continue
		}
		first[rule.name] = rule
	}
	r.Within = ""
}
