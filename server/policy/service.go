package policy

import (
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Service is what ParseFor compares a policy with.
type Service struct {
	// TrustDomain is that of every requester.
	TrustDomain spiffeid.TrustDomain
	// SubjectTokens has each subject token type that the service accepts, with the
	// issuers whose tokens of this type it accepts. The issuers of a type whose tokens
	// the requester makes itself, self_signed and unsigned_json, or this service,
	// txn_token, are not looked at.
	SubjectTokens map[string][]string
	// PDPs are the names of the policy decision points that the service can ask.
	PDPs []string
	// Descriptors have the services whose methods rules satisfy, as in ParseWith.
	Descriptors []Descriptors
}

// known are the subject token types that a service can be configured to accept.
var known = []string{
	trat.TokenTypeAccessToken, trat.TokenTypeIDToken, trat.TokenTypeJWT, trat.TokenTypeSelfSigned, trat.TokenTypeUnsignedJSON,
	trat.TokenType,
}

// checkService finds what can never apply in the service. What is no requester, type or
// issuer at all has been said and is passed over.
func (r *reader) checkService(rule *rule, present map[string]*yaml.Node) {
	if want := r.service.TrustDomain.Name(); !rule.requester.IsZero() && rule.requester.TrustDomain().Name() != want {
		r.Add(present["requester"], "requester", "is not in the trust domain %s: no such workload can call", want)
	}
	accepted := r.checkTypes(rule, present["subject_tokens"])
	if accepted {
		r.checkIssuers(rule, present["issuers"])
	}
	if e := rule.evaluation; e != nil && e.PDP != "" && !slices.Contains(r.service.PDPs, e.PDP) {
		r.Add(present["access_evaluation"], "access_evaluation.pdp", "%q is not a policy decision point in the configuration", e.PDP)
	}
}

// checkTypes reports whether it found nothing wrong.
func (r *reader) checkTypes(rule *rule, list *yaml.Node) (ok bool) {
	ok = true
	for _, uri := range rule.types {
		if _, accepted := r.service.SubjectTokens[uri]; accepted {
			continue
		}
		ok = false
		n := element(list, uri)
		if slices.Contains(known, uri) {
			r.Add(n, "subject_tokens", "%q is not turned on in the configuration: the service accepts no such token", uri)
		} else {
			r.Add(n, "subject_tokens", "%q is not a type that the service knows", uri)
		}
	}
	return ok
}

// checkIssuers is for a rule whose types are all accepted.
func (r *reader) checkIssuers(rule *rule, list *yaml.Node) {
	for _, issuer := range rule.issuers {
		if rule.isIssuer(issuer) {
			continue
		}
		accepts := func(uri string) bool { return slices.Contains(r.service.SubjectTokens[uri], issuer) }
		switch {
		case slices.ContainsFunc(rule.types, accepts):
		case r.service.has(issuer):
			r.Add(element(list, issuer), "issuers", "%q is configured, but for none of these subject_tokens", issuer)
		default:
			r.Add(element(list, issuer), "issuers", "%q is not an issuer in the configuration", issuer)
		}
	}
}

// has says whether tokens of issuer are accepted, of whatever type.
func (s *Service) has(issuer string) bool {
	for _, issuers := range s.SubjectTokens {
		if slices.Contains(issuers, issuer) {
			return true
		}
	}
	return false
}

// isIssuer says whether issuer is a requester of the rule, and as such the issuer of its
// own subject tokens.
func (r *rule) isIssuer(issuer string) bool {
	id, err := spiffeid.FromString(issuer)
	if err != nil || !r.requester.Match(id) {
		return false
	}
	return slices.ContainsFunc(r.types, func(uri string) bool { return !hasIssuer(uri) })
}

// element returns the node of the list's element that is text, or the list.
func element(list *yaml.Node, text string) *yaml.Node {
	if i := slices.IndexFunc(list.Content, func(n *yaml.Node) bool { return n.Value == text }); i >= 0 {
		return list.Content[i]
	}
	return list
}
