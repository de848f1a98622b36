package interceptors

import (
	"context"

	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Reverify gives the stream whose handler ctx is of another TraT, which came in a message of
// the application (trat.v1.StreamRenewal; Client.Renewal makes it), so that the stream may
// outlive the one that it has. link is what txn-chain is in a call's metadata, "" for none.
//
// Both are judged like those of a new call of the method, by the same peer and the stream's
// traceparent, and accepted once. Beyond that the token must have the sub of the token that
// the stream was opened with, no scope that that did not have, and, if it replaces another,
// the txn of the stream's present one. With Rule.Once a renewal within the same transaction
// does not count as another call.
//
// Then the stream's end is the new token's (StreamEnd), which may be earlier; its greatest
// age stays. Messages received later are checked against the new token. The returned context
// is ctx with the new token and chain, for the handler's further calls; the stream's own
// Context keeps the old ones.
//
// If it fails, the stream ends with the refusal, as StreamEnd says, and ctx is returned as
// it was. The error is an *trat.Error with the reason, and the field at fault, of what is
// listed in the package documentation; POLICY_DENIED for a token of another subject or
// transaction, or with more scope. It holds no part of the token. Under a rule that is not strict a failure that
// it permits is reported, and a token that must not be taken is not: then ctx is returned as
// it was, without an error. Outside the handler of a stream that a guard has let through, and
// when that has returned, the reason is INTERNAL, and nothing is ended.
//
// It is safe for concurrent use; of several renewals the one that is called last counts.
func Reverify(ctx context.Context, token, link string) (context.Context, error) {
	live, ok := ctx.Value(streamKey{}).(*liveStream)
	if !ok {
		return ctx, trat.Errorf(trat.ReasonInternal, "", "Reverify needs the context of a stream's handler")
	}
	live.renewals.Lock()
	defer live.renewals.Unlock()
	if err := live.ended(); err != nil {
		return ctx, err
	}
	c, taken := live.judgeRenewal(token, link)
	if c.err != nil {
		if st := grpcerr.Status(c.err); live.deny(st) {
			live.close(c.err, st)
		}
		return ctx, c.err
	}
	if !taken {
		return ctx, nil
	}
	if err := live.renew(c); err != nil {
		return ctx, err
	}
	return withCredentials(ctx, &c), nil
}

// withCredentials returns ctx with the token and the chain of c, and with no other chain.
func withCredentials(ctx context.Context, c *call) context.Context {
	return callchain.NewContext(trat.NewContext(ctx, c.token), c.chain)
}

// ended returns why the stream has ended, nil while it has not.
func (s *liveStream) ended() error {
	if denial := s.denial.Load(); denial != nil {
		reason, _ := grpcerr.ReasonFrom(*denial)
		return trat.Errorf(reason, "", "the stream has ended")
	}
	if s.finished.Load() {
		return trat.Errorf(trat.ReasonInternal, "", "the stream's handler has returned")
	}
	return nil
}

// judgeRenewal makes every check of a renewal and reports the outcome. taken is false for a
// token that was not refused only because the rule is not strict.
func (s *liveStream) judgeRenewal(token, link string) (c call, taken bool) {
	ctx := s.renewalContext(token, link)
	ctx, c = s.server.admit(ctx, s.fullMethod)
	taken = c.err == nil && c.token != nil
	if taken {
		err := s.continues(&c)
		taken = err == nil
		c.err = s.server.refuse(ctx, &c, layerRule, err)
	}
	if taken {
		present := s.current.Load().call.token
		c.continued = present != nil && present.TransactionID() == c.token.TransactionID()
		c.err = s.server.judge(ctx, &c, s.fullMethod, streamCall, nil)
	}
	s.server.report(s.ctx, &c, s.fullMethod)
	if c.wouldDeny != nil {
		s.noteWouldDeny(c.wouldDeny)
	}
	return c, taken && c.err == nil
}

// renewalContext is the stream's context with the metadata of a call that would be opened
// with token and link, so that there is one judge of both.
func (s *liveStream) renewalContext(token, link string) context.Context {
	md, _ := metadata.FromIncomingContext(s.ctx) // a copy, without the keys that follow
	if md == nil {
		md = make(metadata.MD)
	}
	md.Set(tokenKey, token)
	if link != "" {
		md.Set(callchain.MetadataKey, link)
	}
	return metadata.NewIncomingContext(s.ctx, md)
}

// continues returns the refusal of a token that does not carry on what the stream was opened
// for. Issuer and audience are the same in every token that the verifier accepts. A stream
// that was opened in shadow mode without a token takes any as its first.
func (s *liveStream) continues(c *call) error {
	first, present, token := s.origin, s.current.Load().call.token, c.token
	switch {
	case !c.start.Before(token.Expiry()): // within the leeway, and not worth a renewal
		return trat.Errorf(trat.ReasonTxnTokenExpired, "exp", "a renewal with an expired token")
	case first == nil:
		return nil
	case token.Subject() != first.Subject():
		return trat.Errorf(trat.ReasonPolicyDenied, "sub", "the token is of another subject than that which the stream was opened with")
	case !first.Scope().Covers(token.Scope()):
		return trat.Errorf(trat.ReasonPolicyDenied, "scope", "the token has scope that the stream was not opened with")
	case !token.RequestingWorkloadChain().IsZero() && token.TransactionID() != present.TransactionID():
		return trat.Errorf(trat.ReasonPolicyDenied, "txn", "the token replaces one of another transaction")
	}
	return nil
}
