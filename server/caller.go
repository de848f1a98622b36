package server

import (
	"context"
	"time"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// member returns the peer of the mTLS connection, if it may ask at all: inside the trust
// domain, with an SVID that is still valid (draft section 11.5). For a peer outside the
// trust domain the reason is foreign. Whoever the peer is, it comes with the error too.
func (s *Server) member(ctx context.Context, now time.Time, foreign trat.Reason) (spiffecreds.Peer, error) {
	peer, ok := spiffecreds.PeerFromContext(ctx)
	switch {
	case !ok:
		return peer, trat.Errorf(trat.ReasonClientUnauthenticated, "", "no peer identity of package spiffecreds")
	case peer.Expired(now):
		return peer, trat.Errorf(trat.ReasonPeerSVIDExpired, "", "")
	case !peer.ID.MemberOf(s.trustDomain):
		return peer, trat.Errorf(foreign, "", "the peer is not in the trust domain")
	}
	return peer, nil
}

// MayReadKeys returns nil for a caller who may have the keys: the rule of WatchKeys, for
// the front ends that publish them in another form. It identifies the caller as Exchange
// does. The error is the caller's, a gRPC status made by internal/grpcerr:
// trat.ReasonClientUnauthenticated, trat.ReasonPeerSVIDExpired or trat.ReasonPeerDenied.
func (s *Server) MayReadKeys(ctx context.Context) error {
	if _, err := s.member(ctx, s.clock(), trat.ReasonPeerDenied); err != nil {
		return peerError(err)
	}
	return nil
}

// receive finds the requester, and takes what the request costs out of its share, before
// anything is done for it.
func (s *Server) receive(ctx context.Context, a *attempt) (err error) {
	if a.requester, err = s.member(ctx, a.started, trat.ReasonIssuanceDenied); err != nil {
		return err
	}
	return s.limit(a)
}

// Refuse concludes a request that a front end found bad before there was an
// ExchangeRequest, as Exchange would: who is not authenticated does not learn what a good
// request looks like, the limits of requesters hold, there is one audit record, it is
// counted, and cause is in the log. It identifies the caller as Exchange does.
//
// The error is the caller's, a gRPC status made by internal/grpcerr: that of cause, or why
// the caller may not ask at all. It is never nil: without a cause, or with one without a
// Reason, it is trat.ReasonInternal.
func (s *Server) Refuse(ctx context.Context, cause error) error {
	a := &attempt{decision: newDecisionID(), started: s.clock()}
	defer s.finish(a)
	err := s.receive(ctx, a)
	switch {
	case err != nil:
	case cause == nil:
		err = trat.Errorf(trat.ReasonInternal, "", "a request was refused without a cause")
	default:
		err = cause
	}
	s.conclude(ctx, a, err)
	return peerError(err)
}
