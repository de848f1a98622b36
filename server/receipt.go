package server

import (
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// receipt is what is known of how a requester came by the TraT that it wants replaced.
type receipt struct {
	proved bool             // it requested the TraT, or chain says that it was called with it
	result string           // a semconv.ChainResult value; empty: it needed no chain and sent none
	chain  *callchain.Chain // verified; nil unless result is semconv.ChainResultOK
}

// prove holds the requester of a replacement to having received the TraT: it requested it,
// or was called with it, which the call chain proves. A TraT is a bearer token; without this
// whoever sees one could have it replaced, and the new one would name the thief as a
// legitimate requester (draft section 13.15).
//
// A receipt is not for one use: it says that the requester was called, which stays true. How
// long ago does not matter either, as long as the TraT is good.
//
// The peer learns that it is refused, and only the log in what the chain fails: to whoever
// tries chains, each reason would say how far one got.
func (s *Server) prove(a *attempt) error {
	token := a.principal.Transaction
	if a.request.callChain == "" {
		if token.RequestingWorkload() == a.requester.ID.String() {
			a.receipt = receipt{proved: true}
			return nil
		}
		return a.unproved(trat.Errorf(trat.ReasonChainMissing, fieldCallChain, "the requester of the replacement did not request the token"))
	}
	chain, err := s.chains.VerifyEvidence(callchain.Evidence{
		Encoded:   a.request.callChain,
		Audience:  a.requester.ID,
		TokenHash: token.Digest(),
		Root:      token.RequestingWorkload(),
		Anchor:    token.CallChainHash(),
		IssuedAt:  token.IssuedAt(),
		AtUnknown: true,
	})
	if err == nil {
		err = sufficient(chain, a.requester.ID, a.grant.Replacement)
	}
	if err != nil {
		return a.unproved(err)
	}
	a.receipt = receipt{proved: true, result: semconv.ChainResultOK, chain: chain}
	return nil
}

// sufficient reports what a verified chain lacks as a receipt.
func sufficient(chain *callchain.Chain, requester spiffeid.ID, rights *policy.Replacement) error {
	switch {
	case chain.Len() == 0 || chain.Last().Audience() != requester: // which the verifier has seen to
		return trat.Errorf(trat.ReasonInternal, fieldCallChain, "the verifier of call chains broke its contract")
	case rights == nil || !rights.HeadReceipt && !chain.Complete():
		return trat.Errorf(trat.ReasonChainMissing, fieldCallChain, "the links back to the root, which the rule wants")
	case !chain.Complete() && chain.Last().Issuer() == requester: // whoever has a token can sign that
		return trat.Errorf(trat.ReasonChainMissing, fieldCallChain, "a call by another workload than the requester itself")
	}
	return nil
}

// unproved is the refusal for a receipt that is missing or bad. What else can go wrong is no
// fault of the requester's and stays what it is.
func (a *attempt) unproved(err error) error {
	reason, _ := trat.ReasonOf(err)
	if a.receipt.result = semconv.ChainResultOf(string(reason)); a.receipt.result == semconv.ChainResultError {
		return err
	}
	return trat.Errorf(trat.ReasonReplacementDenied, fieldCallChain, "%w", err)
}
