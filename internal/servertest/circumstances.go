package servertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// circumstances are those in which a good request is refused.
func circumstances() map[string]Refusal {
	return map[string]Refusal{
		"a workload without a rule": {As: Stranger, Reason: trat.ReasonIssuanceDenied},
		"an empty policy": {
			Prepare: func(_ testing.TB, w *World, _ *request) { w.SetPolicy(&policy.Policy{}) },
			Reason:  trat.ReasonIssuanceDenied,
		},
		"scope in another case": {
			Change: func(r *request) { r.Scope = "Order.Create" },
			Reason: trat.ReasonScopeExceeded,
		},
		"scope above the subject token's": {
			Prepare: subjectTokenIs(func(p *subject.Principal) { p.Scopes = []string{"orders:read"} }),
			Reason:  trat.ReasonScopeExceeded,
		},
		"subject token without known scope": {
			Prepare: subjectTokenIs(func(p *subject.Principal) { p.Scopes, p.ScopeKnown = nil, false }),
			Reason:  trat.ReasonSubjectScopeUnknown,
		},
		"subject is a credential": {
			Prepare: subjectTokenIs(func(p *subject.Principal) { p.Subject = "login:" + SubjectToken }),
			Reason:  trat.ReasonSubjectTokenInvalid,
			Fields:  map[string]string{"subject_token": "SUBJECT_TOKEN_INVALID"},
		},
		"the issuer is out of reach": {
			Prepare: func(_ testing.TB, w *World, _ *request) {
				w.Access.Func = func(context.Context, subject.Input) (*subject.Principal, error) {
					return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "no answer")
				}
			},
			Reason: trat.ReasonDependencyUnavailable,
		},
		"the key is not active yet": {
			Prepare: func(_ testing.TB, w *World, _ *request) { w.Clock.Advance(-time.Millisecond) },
			Reason:  trat.ReasonKeysUnavailable,
		},
		"no policy": {
			Prepare: func(_ testing.TB, w *World, _ *request) { w.SetPolicy(nil) },
			Reason:  trat.ReasonPolicyUnavailable,
		},
		"token too large": {
			Change: func(r *request) { r.RequestDetails = `{"order_id":"` + long(6000) + `"}` },
			Reason: trat.ReasonTokenTooLarge,
		},
		"a step panics": {
			Prepare: func(_ testing.TB, w *World, _ *request) {
				w.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
					panic("cannot handle " + in.Token)
				}
			},
			Reason: trat.ReasonInternal,
		},
		"a step fails without a reason": {
			Prepare: func(_ testing.TB, w *World, _ *request) {
				w.Access.Func = func(context.Context, subject.Input) (*subject.Principal, error) {
					return nil, errors.New("secret cause")
				}
			},
			Reason: trat.ReasonInternal,
		},
		"more requests than allowed": {
			Prepare: func(t testing.TB, w *World, _ *request) {
				ctx := w.As(t, Gateway)
				for range server.DefaultBurst {
					_, _ = w.Server.Exchange(ctx, &request{})
				}
				// Should one have been refused, the next is recorded in a second only.
				w.Clock.Advance(time.Second)
				for range server.DefaultRequestsPerSecond {
					_, _ = w.Server.Exchange(ctx, &request{})
				}
			},
			Reason: trat.ReasonRateLimited,
		},
		"the policy decision point denies": {
			As: Desk, Change: func(r *request) { r.Scope = "desk.look" },
			Prepare: func(_ testing.TB, w *World, _ *request) {
				w.PDP.Answer = func(context.Context) (bool, error) { return false, nil }
			},
			Reason: trat.ReasonIssuanceDenied,
		},
		"the policy decision point is down": {
			As: Desk, Change: func(r *request) { r.Scope, r.RequestDetails = "desk.read", "" },
			Prepare: func(_ testing.TB, w *World, _ *request) {
				w.PDP.Answer = func(context.Context) (bool, error) { return false, errors.New("secret cause") }
			},
			Reason: trat.ReasonDependencyUnavailable,
		},
		"nobody asks": {Nobody: true, Reason: trat.ReasonClientUnauthenticated},
		"nobody asks for nothing": {
			Nobody: true, Change: func(r *request) { proto.Reset(r) }, Reason: trat.ReasonClientUnauthenticated,
		},
		"the caller's SVID has expired": {
			Prepare: func(_ testing.TB, w *World, _ *request) {
				w.Clock.Advance(devauthority.DefaultSVIDLifetime + time.Second)
			},
			Reason: trat.ReasonPeerSVIDExpired,
		},
		"request_id of another request": {
			Prepare: func(t testing.TB, w *World, _ *request) {
				other := GoodRequest()
				other.Scope = "order.read"
				w.Issue(t, Gateway, other)
			},
			Reason: trat.ReasonParameterInvalid, Fields: map[string]string{"request_id": "PARAMETER_INVALID"},
		},
	}
}

func subjectTokenIs(change func(*subject.Principal)) func(testing.TB, *World, *request) {
	return func(_ testing.TB, w *World, _ *request) {
		w.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
			p := Alice(in)
			change(p)
			return p, nil
		}
	}
}
