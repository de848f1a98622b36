package interceptors

import (
	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat"
)

// evaluationRequest is what a policy decision point is asked (AuthZEN Authorization API 1.0
// section 6): may this subject call this method, on whose way through these workloads? As in
// the token service's questions, scope and workloads are properties of the resource too:
// there are PDPs whose policies do not see the action's properties and the context.
func evaluationRequest(c *rules.Call, method, resourceType, resourceID string) authzen.Request {
	scope, requester, peer := c.Token.Scope().String(), c.Token.RequestingWorkload(), c.Peer.String()
	facts := map[string]any{
		"txn":    c.Token.TransactionID(),
		"scope":  scope,
		"req_wl": requester,
		"peer":   peer,
	}
	for name, object := range map[string]trat.Object{"tctx": c.Token.TransactionContext(), "rctx": c.Token.RequestContext()} {
		if !object.IsZero() {
			facts[name] = object
		}
	}
	if c.Chain.Len() > 0 {
		workloads := make([]string, 0, c.Chain.Len())
		for link := range c.Chain.Links() {
			workloads = append(workloads, link.Issuer().String())
		}
		facts["chain"] = workloads
	}
	return authzen.Request{
		Subject: authzen.Subject{
			Type:       "subject",
			ID:         c.Token.Subject(),
			Properties: map[string]any{"issuer": c.Token.Issuer(), "token_type": trat.TokenType},
		},
		Action: authzen.Action{Name: "/" + method, Properties: map[string]any{"scope": scope}},
		Resource: authzen.Resource{
			Type:       resourceType,
			ID:         resourceID,
			Properties: map[string]any{"scope": scope, "req_wl": requester, "peer": peer},
		},
		Context: facts,
	}
}
