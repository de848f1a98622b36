package server

import (
	"time"

	"github.com/grpc-trat/grpc-trat/internal/samejson"
	"github.com/grpc-trat/grpc-trat/trat"
)

// replacement turns claims of a token that starts a transaction into those of one that
// replaces old (draft section 13.15). Policy has judged whether and how; what no policy
// may do is held here again. Transaction, subject and audience stay; the history of
// requesters is that of old and the requester, and of nothing that was sent; the call chain
// is the one that prove has verified.
func (s *Server) replacement(a *attempt, claims trat.Claims, now time.Time) (trat.Claims, error) {
	old, rights := a.principal.Transaction.Claims(), a.grant.Replacement
	switch {
	case rights == nil:
		return trat.Claims{}, trat.Errorf(trat.ReasonReplacementDenied, "", "the grant is none to replace a token")
	case !a.receipt.proved:
		return trat.Claims{}, trat.Errorf(trat.ReasonReplacementDenied, "", "the requester has not proved that it received the token")
	case old.Issuer != claims.Issuer || old.Audience != claims.Audience || old.Subject != claims.Subject:
		return trat.Claims{}, trat.Errorf(trat.ReasonInternal, "", "the verified token is not of this service, or not of this subject")
	case !old.Scope.Covers(claims.Scope):
		return trat.Claims{}, trat.Errorf(trat.ReasonScopeExceeded, fieldScope, "beyond that of the replaced token")
	case !keeps(old.TransactionContext, claims.TransactionContext) || !keeps(old.RequestContext, claims.RequestContext):
		return trat.Claims{}, trat.Errorf(trat.ReasonInternal, "", "rule %q: tctx or rctx lacks or changes what the replaced token has", a.grant.Rule)
	case !old.Expiry.After(now):
		return trat.Claims{}, trat.Errorf(trat.ReasonSubjectTokenExpired, fieldSubjectToken, "")
	}
	chain, err := old.Requesters().With(claims.RequestingWorkload)
	if err != nil {
		return trat.Claims{}, trat.Errorf(trat.ReasonReplacementLimit, "", "%w", err)
	}
	claims.TransactionID = old.TransactionID
	claims.RequestingWorkloadChain, claims.ReplacementCount = chain, old.ReplacementCount+1
	// A requester that replaces its own token without having been called since still stands
	// where the chain before that token ended.
	claims.CallChainHash = old.CallChainHash
	if called := a.receipt.chain; called.Len() > 0 {
		claims.CallChainHash = called.Last().Hash()
	}
	claims.TransactionStart = old.FirstIssuedAt()
	if claims.TransactionStart.After(claims.IssuedAt) { // by the clock of another replica
		claims.TransactionStart = claims.IssuedAt
	}
	if !rights.ExtendLifetime {
		if claims.Expiry = earlier(claims.Expiry, old.Expiry); claims.Expiry.Sub(now) < time.Second {
			return trat.Claims{}, trat.Errorf(trat.ReasonSubjectTokenExpired, fieldSubjectToken, "it leaves less than a second")
		}
	}
	if rights.ExtendLifetime || rights.MaxAge > 0 {
		if claims.Expiry = earlier(claims.Expiry, claims.TransactionStart.Add(rights.MaxAge)); claims.Expiry.Sub(now) < time.Second {
			return trat.Claims{}, trat.Errorf(trat.ReasonReplacementLimit, "", "the transaction is at the end of its longest age")
		}
	}
	return claims, nil
}

// keeps says whether every member of old is in claim as it was: a replacement may add, and
// may not change what workloads upstream were told (draft section 13.15).
func keeps(old, claim trat.Object) bool {
	for name, value := range old.Members() {
		if have, ok := claim.Raw(name); !ok || !samejson.Equal(have, value) {
			return false
		}
	}
	return true
}

// earlier returns the earlier of two times, in whole seconds.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		a = b
	}
	return a.Truncate(time.Second)
}
