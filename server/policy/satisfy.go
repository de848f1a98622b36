package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
)

// maxSatisfies bounds the methods that one rule names.
const maxSatisfies = 64

// checkSatisfies finds methods whose rules no TraT of this rule could ever satisfy: for want
// of a scope, or of a member of tctx that the method demands or has bound a field to. What
// depends on values is not known here, and what a guard's code or overlay demands neither.
func (r *reader) checkSatisfies(rule *rule, n *yaml.Node) {
	const field = "satisfies"
	methods := r.Texts(n, field, checkMethod)
	if len(methods) > maxSatisfies {
		r.Add(n, field, "names more than %d methods", maxSatisfies)
		return
	}
	for _, name := range methods {
		at := element(n, name)
		versions, err := methodsOf(r.descriptors, name)
		if err != nil {
			r.Add(at, field, "%s: %v", name, err)
			continue
		}
		said := make(map[string]bool)
		for _, version := range versions {
			for _, problem := range rule.shortOf(version) {
				if !said[problem] { // another version has it too
					said[problem] = true
					r.Add(at, field, "%s: %s", name, problem)
				}
			}
		}
	}
}

// shortOf says what keeps TraTs of the rule from satisfying the rule beside a method; nothing
// if nothing does.
func (r *rule) shortOf(method protoreflect.MethodDescriptor) []string {
	if service, ok := method.Parent().(protoreflect.ServiceDescriptor); ok {
		if err := rules.CheckService(service); err != nil {
			return []string{err.Error()}
		}
	}
	wanted, declared, err := rules.Of(method)
	switch {
	case err != nil:
		return []string{err.Error()}
	case !declared && len(wanted.Bindings) == 0:
		return []string{"there is no rule beside it, and no field of its request is bound: it demands nothing"}
	case wanted.Exempt != "":
		return []string{"is exempt: it needs no TraT"}
	}
	bound, err := rules.Members(wanted.Bindings, method.Input())
	if err != nil {
		return []string{err.Error()}
	}
	problems := r.shortOfScopes(&wanted)
	missing := make(map[string]bool)
	for i, b := range bound {
		reason := fmt.Sprintf("which its field %q is bound to", wanted.Bindings[i].Field)
		if problem := r.shortOfMember(b.Tctx, reason, &b); problem != "" {
			missing[b.Tctx] = true
			problems = append(problems, problem)
		}
	}
	for _, path := range wanted.Tctx {
		if missing[path] {
			continue
		}
		if problem := r.shortOfMember(path, "which it demands", nil); problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems
}

// shortOfScopes is about the scopes that one TraT must hold together.
func (r *rule) shortOfScopes(wanted *rules.Rule) []string {
	fits := func(granted set) bool {
		lacks := func(scope string) bool { return !granted.has(scope) }
		none := func(list []string) bool { return !slices.ContainsFunc(list, granted.has) }
		return !slices.ContainsFunc(wanted.Scopes, lacks) && !slices.ContainsFunc(wanted.AnyScopes, none)
	}
	if slices.ContainsFunc(r.ways(), fits) {
		return nil
	}
	var problems []string
	for _, scope := range wanted.Scopes {
		if !r.reach.has(scope) {
			problems = append(problems, fmt.Sprintf("demands the scope %q, which the rule never grants", scope))
		}
	}
	for _, list := range wanted.AnyScopes {
		if !slices.ContainsFunc(list, r.reach.has) {
			problems = append(problems, fmt.Sprintf("demands one of the scopes %q, of which the rule grants none", list))
		}
	}
	if len(problems) == 0 {
		problems = append(problems, "demands scopes that the rule grants in part by scopes and in part by grants, never in one TraT")
	}
	return problems
}

// ways are the sets of scopes of which one TraT can have all.
func (r *rule) ways() []set {
	if r.replacement != nil {
		return []set{r.reach}
	}
	carried := make(set)
	for _, internal := range r.scopes {
		for _, scope := range internal {
			carried[scope] = struct{}{}
		}
	}
	return []set{carried, r.grants}
}

// shortOfMember says what is wrong with the member of tctx at path, which the method wants
// for the given reason, as a binding if there is one; "" if nothing is. A replacement keeps
// all members that the token has, so only those that it adds are known.
func (r *rule) shortOfMember(path, reason string, bound *binding.MemberType) string {
	name, rest, _ := strings.Cut(path, ".")
	optional := bound != nil && bound.Optional
	must := r.replacement == nil && !optional
	i := slices.IndexFunc(r.tctx, func(c construction) bool { return c.name == name })
	if i < 0 {
		if must {
			return fmt.Sprintf("the rule does not make tctx.%s, %s", path, reason)
		}
		return ""
	}
	c := &r.tctx[i]
	if must && c.optional {
		return fmt.Sprintf("tctx.%s, %s, is optional", path, reason)
	}
	member, ok := c.shape.at(rest)
	is := member.name
	if member.value != nil {
		is = "a constant"
	}
	switch {
	case !ok && !optional:
		return fmt.Sprintf("tctx.%s is %s, without the member tctx.%s, %s", name, c.shape.name, path, reason)
	case !ok || bound == nil:
		return ""
	case c.pseudonym && bound.Bound == binding.BoundEqual:
		return fmt.Sprintf("tctx.%s, %s, is a pseudonym, which no request has", path, reason)
	case fitsField(member, bound):
		return ""
	case bound.Bound == binding.BoundEqual:
		return fmt.Sprintf("tctx.%s, %s, is %s, which %s never is", path, reason, is, fieldText(bound.Field))
	default:
		return fmt.Sprintf("tctx.%s, %s by a relation, is %s, and the relation wants %s", path, reason, is, boundText(bound))
	}
}
