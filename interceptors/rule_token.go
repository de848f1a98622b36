package interceptors

import (
	"errors"
	"fmt"
	"slices"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// AnyScope demands that the TraT holds at least one of scopes, each of them one scope
// token. Repeated use adds lists, of each of which one must be held.
func (r Rule) AnyScope(scopes ...string) Rule {
	if len(scopes) == 0 {
		r = r.problem(errors.New("AnyScope names none"))
	}
	r.data.AnyScopes = append(slices.Clip(r.data.AnyScopes), slices.Clone(scopes))
	return r
}

// RequireTctx demands members of tctx, which must be there and not null. Each path is
// names joined by dots, "order.id". Without them a call is refused with POLICY_DENIED.
func (r Rule) RequireTctx(paths ...string) Rule {
	if len(paths) == 0 {
		r = r.problem(errors.New("RequireTctx names nothing"))
	}
	r.data.Tctx = append(slices.Clip(r.data.Tctx), paths...)
	return r
}

// When adds a condition in CEL, which must be true; repeated use adds further ones. Its
// variables are request, tctx, rctx, scope, sub, req_wl, peer, chain and now. CheckCoverage
// compiles it against the types of the method's messages. What cannot be evaluated is not
// true, and the call is refused with POLICY_DENIED. On a stream a condition that names
// request is asked for each received message, any other once.
func (r Rule) When(cel string) Rule {
	r.data.When = append(slices.Clip(r.data.When), cel)
	return r
}

// Bind demands that a field of the request is what a member of tctx is; docs/rules.md says
// when two values are. Field and tctx are names joined by dots, the field's from the
// request on. When one is missing or they differ, the call is refused with POLICY_DENIED,
// and on a stream each received message is held to it.
func (r Rule) Bind(field, tctx string) Rule {
	return r.bind(rules.Binding{Field: field, Tctx: tctx})
}

// BindOptional is Bind, except that the field may be missing if the member is too.
func (r Rule) BindOptional(field, tctx string) Rule {
	return r.bind(rules.Binding{Field: field, Tctx: tctx, Optional: true})
}

// BindRelation is Bind with another relation than equality: a CEL expression that must be
// true over this, the field, and bound, the member as the type of the field or a list of
// it, such as "this <= bound" or "this in bound".
func (r Rule) BindRelation(field, tctx, relation string) Rule {
	if relation == "" {
		r = r.problem(fmt.Errorf("BindRelation: field %q has no relation", field))
	}
	return r.bind(rules.Binding{Field: field, Tctx: tctx, Relation: relation})
}

func (r Rule) bind(b rules.Binding) Rule {
	r.data.Bindings = append(slices.Clip(r.data.Bindings), b)
	return r
}

// AccessEvaluation asks the program's policy decision point about each call. An empty
// resourceType stands for "grpc_service". resourceID is a CEL expression with the
// variables of When; an empty one stands for the name of the service.
func (r Rule) AccessEvaluation(resourceType, resourceID string) Rule {
	if r.data.Evaluation != nil {
		r = r.problem(errors.New("AccessEvaluation is given twice"))
	}
	r.data.Evaluation = &rules.Evaluation{ResourceType: resourceType, ResourceID: resourceID}
	return r
}
