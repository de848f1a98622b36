package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// tokenTypeNotApplicable is the token_type of a token that is no access token (RFC
// 8693 section 2.2.1).
const tokenTypeNotApplicable = "N_A"

// attempt is one Exchange on its way: what the steps have found out so far. The audit
// record and the telemetry are made of it, however far it came.
type attempt struct {
	decision  string // its id
	started   time.Time
	requester spiffecreds.Peer
	supported bool // request.subjectTokenType is one that is served
	request   request
	policy    *policy.Policy
	principal *subject.Principal
	grant     policy.Grant
	receipt   receipt // of a replacement
	// failedOpen: the policy decision point did not answer, and policy went on without.
	failedOpen bool
	token      string
	digest     [sha256.Size]byte // of token
	claims     trat.Claims       // of token

	// unrecorded: the refusal is counted, and no more; omitted have been so before.
	unrecorded bool
	omitted    int

	seated bool        // takes one of the exchanges that may be under way
	entry  *cacheEntry // of a request_id: others may wait for issued
	issued *cachedResponse
	cached *cachedResponse // the response to an earlier sending is this one's
}

// Exchange implements trat.v1.TokenService (draft sections 11.1 to 11.4). Errors are
// gRPC statuses made by internal/grpcerr. It identifies the caller by ctx alone, so
// that every front end has to bring a peer that package spiffecreds verified.
func (s *Server) Exchange(ctx context.Context, req *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	a := &attempt{decision: newDecisionID(), started: s.clock()}
	defer s.finish(a)
	response, err := s.decide(ctx, req, a)
	record := s.conclude(ctx, a, err)
	if err != nil {
		return nil, peerError(err)
	}
	if a.entry != nil {
		a.issued = &cachedResponse{token: response.GetAccessToken(), record: record}
	}
	return response, nil
}

// finish lets go of what the attempt holds. Whatever became of it, nobody waits for it any
// longer.
func (s *Server) finish(a *attempt) {
	if a.entry != nil {
		s.responses.complete(a.entry, a.issued, s.clock())
	}
	if a.seated {
		s.exchanges.Leave(a.requester.ID.String())
	}
}

// peerError is what the caller sees of err. A call that was cancelled or ran out of
// time has no reason of ours.
func peerError(err error) error {
	if _, ok := trat.ReasonOf(err); !ok && isContextError(err) {
		return status.FromContextError(err).Err()
	}
	return grpcerr.Error(err)
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// decide takes the steps up to the signed and checked token. A panic in any of them
// is a refusal.
func (s *Server) decide(ctx context.Context, req *tratv1.ExchangeRequest, a *attempt) (response *tratv1.ExchangeResponse, err error) {
	defer func() {
		if v := recover(); v != nil {
			// The value may hold anything, a token included: its type has to do.
			response, err = nil, trat.Errorf(trat.ReasonInternal, "", "panic (%T)\n%s", v, debug.Stack())
		}
	}()
	if err := s.receive(ctx, a); err != nil {
		return nil, err
	}
	if a.request, err = s.parse(req); err != nil {
		return nil, err
	}
	if err := s.deduplicate(ctx, req, a); err != nil {
		return nil, err
	}
	if a.cached != nil {
		record := &a.cached.record
		return respond(a.cached.token, record.Scope, record.Expiry, s.clock()), nil
	}
	if err := s.admit(a); err != nil {
		return nil, err
	}
	if err := s.judge(ctx, a); err != nil {
		return nil, err
	}
	if err := s.evaluate(ctx, a); err != nil {
		return nil, err
	}
	return s.issue(ctx, a)
}

// judge verifies the subject token and has policy decide. What is granted holds no
// credential.
func (s *Server) judge(ctx context.Context, a *attempt) (err error) {
	a.principal, err = s.subjects.Verify(ctx, subject.Input{
		Token:         a.request.subjectToken,
		Type:          a.request.subjectTokenType,
		Requester:     a.requester.ID,
		RequesterLeaf: a.requester.Leaf,
		Now:           s.clock(), // later than when the request was taken up, if it waited for another
	})
	if err != nil {
		return err
	}
	now := s.clock() // later than when the request was taken up, if keys had to be fetched
	ask := policy.Request{
		Requester:        a.requester.ID,
		SubjectTokenType: a.request.subjectTokenType,
		Subject: policy.Subject{
			Issuer:     a.principal.Issuer,
			ID:         a.principal.Subject,
			Scopes:     a.principal.Scopes,
			ScopeKnown: a.principal.ScopeKnown,
			Claims:     a.principal.Claims,
		},
		Scope:     a.request.scope,
		Context:   a.request.context,
		Details:   a.request.details,
		Now:       now,
		Pseudonym: s.pseudonyms.at(now).ofMember,
	}
	replaces := a.principal.Transaction != nil
	if replaces != (a.request.subjectTokenType == trat.TokenType) {
		return trat.Errorf(trat.ReasonInternal, "", "the verifier of %q broke its contract", a.request.subjectTokenType)
	}
	if replaces {
		claims := a.principal.Transaction.Claims()
		ask.Transaction = &claims
	}
	if a.grant, err = a.policy.Decide(ask); err != nil {
		return err
	}
	if replaces {
		if err := s.prove(a); err != nil { // last, because signatures cost most
			return err
		}
	}
	return refuseCredentials(a.request.subjectToken, a.principal.Subject, a.grant)
}

// admit decides by policy alone whether the requester may present this type of
// subject token, before the token is looked at (draft section 11.3).
func (s *Server) admit(a *attempt) error {
	if a.policy = s.policy(); a.policy == nil {
		return trat.Errorf(trat.ReasonPolicyUnavailable, "", "")
	}
	if err := s.subjects.Supports(a.requester.ID, a.request.subjectTokenType); err != nil {
		return fmt.Errorf("subject token type: %w", err)
	}
	a.supported = true
	return a.policy.MayPresent(a.requester.ID, a.request.subjectTokenType)
}
