package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func wantReason(t *testing.T, err error, want trat.Reason) {
	t.Helper()
	if got, _ := grpcerr.ReasonFrom(err); got != want {
		t.Fatalf("got %v (reason %q), want %s", err, got, want)
	}
	if code := status.Code(err); code != grpcerr.Code(want) {
		t.Errorf("code %s, want %s", code, grpcerr.Code(want))
	}
}

// violatedFields returns field and reason of each violation.
func violatedFields(err error) map[string]string {
	fields := make(map[string]string)
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields[v.GetField()] = v.GetReason()
			}
		}
	}
	return fields
}

// refusal is a request that is refused: goodRequest, as request changes it, sent to a
// fixture as prepare changes that.
type refusal struct {
	as      spiffeid.ID // default: gateway
	request func(*tratv1.ExchangeRequest)
	prepare func(*fixture)
	code    codes.Code
	reason  trat.Reason
	fields  map[string]string // parameters at fault, each with its reason
	retry   bool
}

// refusals is the whole table.
var refusals = map[string]refusal{
	"grant_type missing":           one(func(r *tratv1.ExchangeRequest) { r.GrantType = "" }, "grant_type", "PARAMETER_MISSING"),
	"audience missing":             one(func(r *tratv1.ExchangeRequest) { r.Audience = "" }, "audience", "PARAMETER_MISSING"),
	"scope missing":                one(func(r *tratv1.ExchangeRequest) { r.Scope = "" }, "scope", "PARAMETER_MISSING"),
	"requested_token_type missing": one(func(r *tratv1.ExchangeRequest) { r.RequestedTokenType = "" }, "requested_token_type", "PARAMETER_MISSING"),
	"subject_token missing":        one(func(r *tratv1.ExchangeRequest) { r.SubjectToken = "" }, "subject_token", "PARAMETER_MISSING"),
	"subject_token_type missing":   one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "" }, "subject_token_type", "PARAMETER_MISSING"),

	"grant_type too long":           one(func(r *tratv1.ExchangeRequest) { r.GrantType = long(129) }, "grant_type", "PARAMETER_INVALID"),
	"audience too long":             one(func(r *tratv1.ExchangeRequest) { r.Audience = long(256) }, "audience", "PARAMETER_INVALID"),
	"scope too long":                one(func(r *tratv1.ExchangeRequest) { r.Scope = long(1025) }, "scope", "PARAMETER_INVALID"),
	"requested_token_type too long": one(func(r *tratv1.ExchangeRequest) { r.RequestedTokenType = long(129) }, "requested_token_type", "PARAMETER_INVALID"),
	"subject_token too long":        one(func(r *tratv1.ExchangeRequest) { r.SubjectToken = long(16385) }, "subject_token", "PARAMETER_INVALID"),
	"subject_token_type too long":   one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "urn:" + long(256) }, "subject_token_type", "PARAMETER_INVALID"),
	"request_context too long":      one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `{"ip":"` + long(8192) + `"}` }, "request_context", "PARAMETER_INVALID"),
	"request_details too long":      one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"order_id":"` + long(8192) + `"}` }, "request_details", "PARAMETER_INVALID"),
	"request_id too long":           one(func(r *tratv1.ExchangeRequest) { r.RequestId = long(65) }, "request_id", "PARAMETER_INVALID"),
	"request_id with a line break":  one(func(r *tratv1.ExchangeRequest) { r.RequestId = "a\nb" }, "request_id", "PARAMETER_INVALID"),

	"another grant type":            one(func(r *tratv1.ExchangeRequest) { r.GrantType = "client_credentials" }, "grant_type", "GRANT_TYPE_UNSUPPORTED"),
	"another trust domain":          one(func(r *tratv1.ExchangeRequest) { r.Audience = "other.test" }, "audience", "AUDIENCE_NOT_SERVED"),
	"trust domain in other case":    one(func(r *tratv1.ExchangeRequest) { r.Audience = "SHOP.test" }, "audience", "AUDIENCE_NOT_SERVED"),
	"trust domain as a prefix":      one(func(r *tratv1.ExchangeRequest) { r.Audience = "shop.test.evil" }, "audience", "AUDIENCE_NOT_SERVED"),
	"the old spelling of the URN":   one(func(r *tratv1.ExchangeRequest) { r.RequestedTokenType = "urn:ietf:params:oauth:token-type:txn-token" }, "requested_token_type", "PARAMETER_INVALID"),
	"another requested type":        one(func(r *tratv1.ExchangeRequest) { r.RequestedTokenType = trat.TokenTypeAccessToken }, "requested_token_type", "PARAMETER_INVALID"),
	"scope with two spaces":         one(func(r *tratv1.ExchangeRequest) { r.Scope = "order.create  order.read" }, "scope", "SCOPE_MALFORMED"),
	"scope with a quote":            one(func(r *tratv1.ExchangeRequest) { r.Scope = `order"create` }, "scope", "SCOPE_MALFORMED"),
	"token type is no absolute URI": one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "access_token" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type is a bare scheme":   one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "urn:" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type is not known":       one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "urn:x:vm" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type is not turned on":   one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = trat.TokenTypeIDToken }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"a refresh token": one(func(r *tratv1.ExchangeRequest) {
		r.SubjectTokenType = "urn:ietf:params:oauth:token-type:refresh_token"
	}, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"request_context is a list":      one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `[]` }, "request_context", "PARAMETER_INVALID"),
	"request_context is no JSON":     one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `{` }, "request_context", "PARAMETER_INVALID"),
	"request_details is null":        one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `null` }, "request_details", "PARAMETER_INVALID"),
	"request_details says it twice":  one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"order_id":1,"order_id":2}` }, "request_details", "PARAMETER_INVALID"),
	"a required detail is missing":   one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"note":"x"}` }, "request_details.order_id", "PARAMETER_MISSING"),
	"request_details holds a JWT":    one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"order_id":"` + subjectToken + `"}` }, "request_details", "PARAMETER_INVALID"),
	"request_context holds the same": one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `{"ip":"` + subjectToken + `"}` }, "request_context", "PARAMETER_INVALID"),

	"everything missing": {
		request: func(r *tratv1.ExchangeRequest) { proto.Reset(r) },
		code:    codes.InvalidArgument, reason: trat.ReasonParameterMissing,
		fields: map[string]string{
			"grant_type": "PARAMETER_MISSING", "audience": "PARAMETER_MISSING", "scope": "PARAMETER_MISSING",
			"requested_token_type": "PARAMETER_MISSING", "subject_token": "PARAMETER_MISSING", "subject_token_type": "PARAMETER_MISSING",
		},
	},
	"several kinds of problem at once": {
		request: func(r *tratv1.ExchangeRequest) {
			r.GrantType, r.Scope, r.SubjectToken, r.RequestDetails, r.RequestId = "password", "a  b", "", "[", "?"
		},
		code: codes.InvalidArgument, reason: trat.ReasonParameterMissing,
		fields: map[string]string{
			"subject_token": "PARAMETER_MISSING", "grant_type": "GRANT_TYPE_UNSUPPORTED", "scope": "SCOPE_MALFORMED",
			"request_details": "PARAMETER_INVALID", "request_id": "PARAMETER_INVALID",
		},
	},

	"a workload without a rule": {as: stranger, code: codes.PermissionDenied, reason: trat.ReasonIssuanceDenied},
	"an empty policy": {
		prepare: func(f *fixture) { f.policy = &policy.Policy{} },
		code:    codes.PermissionDenied, reason: trat.ReasonIssuanceDenied,
	},
	"scope in another case": {
		request: func(r *tratv1.ExchangeRequest) { r.Scope = "Order.Create" },
		code:    codes.PermissionDenied, reason: trat.ReasonScopeExceeded,
	},
	"scope above the subject token's": {
		prepare: subjectTokenIs(func(p *subject.Principal) { p.Scopes = []string{"orders:read"} }),
		code:    codes.PermissionDenied, reason: trat.ReasonScopeExceeded,
	},
	"subject token without known scope": {
		prepare: subjectTokenIs(func(p *subject.Principal) { p.Scopes, p.ScopeKnown = nil, false }),
		code:    codes.PermissionDenied, reason: trat.ReasonSubjectScopeUnknown,
	},
	"subject token invalid":  verifierSays(trat.ReasonSubjectTokenInvalid, codes.InvalidArgument),
	"subject token expired":  verifierSays(trat.ReasonSubjectTokenExpired, codes.InvalidArgument),
	"subject token replayed": verifierSays(trat.ReasonSubjectTokenReplayed, codes.InvalidArgument),
	"subject is a credential": {
		prepare: subjectTokenIs(func(p *subject.Principal) { p.Subject = "login:" + subjectToken }),
		code:    codes.InvalidArgument, reason: trat.ReasonSubjectTokenInvalid,
		fields: map[string]string{"subject_token": "SUBJECT_TOKEN_INVALID"},
	},
	"the issuer is out of reach": {
		prepare: func(f *fixture) {
			f.access.verify = func(subject.Input) (*subject.Principal, error) {
				return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "no answer")
			}
		},
		code: codes.Unavailable, reason: trat.ReasonDependencyUnavailable, retry: true,
	},
	"no policy": {
		prepare: func(f *fixture) { f.policy = nil },
		code:    codes.Unavailable, reason: trat.ReasonPolicyUnavailable,
	},
	"token too large": {
		request: func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"order_id":"` + long(6000) + `"}` },
		code:    codes.ResourceExhausted, reason: trat.ReasonTokenTooLarge,
	},
	"a step panics": {
		prepare: func(f *fixture) {
			f.access.verify = func(in subject.Input) (*subject.Principal, error) { panic("cannot handle " + in.Token) }
		},
		code: codes.Internal, reason: trat.ReasonInternal,
	},
	"a step fails without a reason": {
		prepare: func(f *fixture) {
			f.access.verify = func(subject.Input) (*subject.Principal, error) { return nil, errors.New("secret cause") }
		},
		code: codes.Internal, reason: trat.ReasonInternal,
	},
	"the caller's SVID has expired": {
		prepare: func(f *fixture) { f.clock.Advance(devauthority.DefaultSVIDLifetime + time.Second) },
		code:    codes.Unauthenticated, reason: trat.ReasonPeerSVIDExpired,
	},
}

// one is a bad request with one parameter at fault.
func one(request func(*tratv1.ExchangeRequest), field string, reason trat.Reason) refusal {
	return refusal{request: request, code: codes.InvalidArgument, reason: reason, fields: map[string]string{field: string(reason)}}
}

func verifierSays(reason trat.Reason, code codes.Code) refusal {
	return refusal{
		prepare: func(f *fixture) {
			f.access.verify = func(subject.Input) (*subject.Principal, error) {
				return nil, trat.Errorf(reason, "secret_claim", "secret cause")
			}
		},
		code: code, reason: reason, fields: map[string]string{"subject_token": string(reason)},
	}
}

func subjectTokenIs(change func(*subject.Principal)) func(*fixture) {
	return func(f *fixture) {
		f.access.verify = func(in subject.Input) (*subject.Principal, error) {
			p := alice(in)
			change(p)
			return p, nil
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// Covers TTS-03, TTS-04, TTS-05, TTS-06, TTS-07, TTS-08, TTS-09, TTS-11, TTS-17, TTS-30, TTS-31, TTS-32, TTS-38, TTS-40, TTS-42.
// Covers ERR-01, ERR-02, ERR-04, ERR-05, ERR-06, ERR-07, ERR-08, ERR-09, ERR-10, ERR-14, PRIV-01, PRIV-07, SEC-12.
func TestEveryBadRequestIsRefusedForItsReason(t *testing.T) {
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			id := gateway
			if !tc.as.IsZero() {
				id = tc.as
			}
			client := f.dial(t, f.serve(t), id)
			if _, err := client.Exchange(t.Context(), &tratv1.ExchangeRequest{}); status.Code(err) == codes.Unavailable {
				t.Fatal(err) // connected before prepare changes anything
			}
			f.records.take()
			request := goodRequest()
			if tc.request != nil {
				tc.request(request)
			}
			if tc.prepare != nil {
				tc.prepare(f)
			}
			response, err := client.Exchange(t.Context(), request)
			if response.GetAccessToken() != "" {
				t.Error("a token was issued")
			}
			wantReason(t, err, tc.reason)
			if status.Code(err) != tc.code {
				t.Errorf("code %s, want %s", status.Code(err), tc.code)
			}
			want := tc.fields
			if want == nil {
				want = map[string]string{}
			}
			if diff := cmp.Diff(want, violatedFields(err)); diff != "" {
				t.Errorf("field violations (-want +got):\n%s", diff)
			}
			if hasRetry(err) != tc.retry {
				t.Errorf("RetryInfo present = %t", !tc.retry)
			}
			checkRefusalRecord(t, f, id, tc.reason)
			for sink, text := range map[string]string{"status": status.Convert(err).Proto().String(), "log": f.logs.String()} {
				if contains(text, "eyJ") || contains(text, "alice@") {
					t.Errorf("a token or subject is in the %s:\n%s", sink, text)
				}
			}
			if contains(status.Convert(err).Proto().String(), "secret") {
				t.Errorf("the cause is in the status: %v", err)
			}
		})
	}
}

func hasRetry(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if _, ok := d.(*errdetails.RetryInfo); ok {
			return true
		}
	}
	return false
}

func checkRefusalRecord(t *testing.T, f *fixture, id spiffeid.ID, reason trat.Reason) {
	t.Helper()
	list := f.records.take()
	if len(list) != 1 {
		t.Fatalf("%d audit records, want 1", len(list))
	}
	r := list[0]
	if r.Issued() || r.Reason != reason || r.Requester != id.String() || r.Fingerprint != "" || r.TransactionID != "" {
		t.Errorf("audit record %+v", r)
	}
}

// Covers TTS-17.
func TestSubjectTokenIsNotLookedAtBeforePolicyAdmits(t *testing.T) {
	f := newFixture(t)
	_, err := f.server.Exchange(f.as(t, stranger), goodRequest())
	wantReason(t, err, trat.ReasonIssuanceDenied)
	if f.access.calls != 0 {
		t.Error("the subject token was verified for a workload that may not present it")
	}
}

// Covers ERR-03, SEC-03, VER-14, TTS-26.
func TestCallerWithoutPeerIdentityIsUnauthenticated(t *testing.T) {
	secret := metadata.Pairs("authorization", "Basic Z2F0ZXdheTpzZWNyZXQ=", "x-spiffe-id", gateway.String())
	for name, ctx := range map[string]context.Context{
		"no connection":               t.Context(),
		"a secret, a claimed ID":      metadata.NewIncomingContext(t.Context(), secret),
		"TLS by somebody else's rule": peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{SPIFFEID: gateway.URL()}}),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			_, err := f.server.Exchange(ctx, goodRequest())
			wantReason(t, err, trat.ReasonClientUnauthenticated)
			if f.access.calls != 0 {
				t.Error("the subject token was verified")
			}
			if r := f.records.take(); len(r) != 1 || r[0].Requester != "" || r[0].Reason != trat.ReasonClientUnauthenticated {
				t.Errorf("audit records %+v", r)
			}
		})
	}
}

// Covers SEC-08.
func TestCallerOfAnotherTrustDomainIsDenied(t *testing.T) {
	f := newFixture(t)
	foreign, err := devauthority.New(spiffeid.RequireTrustDomainFromString("other.test"), devauthority.WithClock(f.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = foreign.Close() })
	if err := errors.Join(f.authority.Federate(foreign.Bundle()), foreign.Federate(f.authority.Bundle())); err != nil {
		t.Fatal(err)
	}
	ctx := peerContext(t, f.authority, foreign, spiffeid.RequireFromString("spiffe://other.test/gateway"), f.clock)
	_, err = f.server.Exchange(ctx, goodRequest())
	wantReason(t, err, trat.ReasonIssuanceDenied)
}

// Covers SEC-08.
func TestCallerWhoseIDLooksLikeAnotherIsDenied(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/gateway-evil", "/gateway/evil", "/Gateway", "/evil/gateway", "/gatewa"} {
		_, err := f.server.Exchange(f.as(t, spiffeid.RequireFromPath(trustDomain, path)), goodRequest())
		wantReason(t, err, trat.ReasonIssuanceDenied)
	}
	if f.access.calls != 0 {
		t.Error("a subject token was verified")
	}
}

// Covers ERR-14.
func TestNothingIsIssuedBeforeTheKeyIsActive(t *testing.T) {
	f := newFixture(t)
	f.clock.Advance(-time.Millisecond)
	_, err := f.server.Exchange(f.as(t, gateway), goodRequest())
	wantReason(t, err, trat.ReasonKeysUnavailable)
	if !hasRetry(err) {
		t.Error("no RetryInfo")
	}
}

func TestCallerThatHasGoneGetsNoToken(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(f.as(t, gateway))
	f.access.verify = func(in subject.Input) (*subject.Principal, error) {
		cancel()
		return alice(in), nil
	}
	response, err := f.server.Exchange(ctx, goodRequest())
	if response != nil || status.Code(err) != codes.Canceled {
		t.Errorf("got %v, %v", response, err)
	}
	if r := f.records.take(); len(r) != 1 || r[0].Reason != "CANCELLED" {
		t.Errorf("audit records %+v", r)
	}
}
