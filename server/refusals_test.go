package server_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// oauthErrors are what each reason must be over HTTP (requirements ERR-01 to ERR-10).
var oauthErrors = map[trat.Reason]string{
	trat.ReasonParameterMissing:            "invalid_request",
	trat.ReasonParameterInvalid:            "invalid_request",
	trat.ReasonGrantTypeUnsupported:        "unsupported_grant_type",
	trat.ReasonAudienceNotServed:           "invalid_target",
	trat.ReasonScopeMalformed:              "invalid_scope",
	trat.ReasonScopeExceeded:               "invalid_scope",
	trat.ReasonSubjectScopeUnknown:         "invalid_scope",
	trat.ReasonSubjectTokenInvalid:         "invalid_request",
	trat.ReasonSubjectTokenExpired:         "invalid_request",
	trat.ReasonSubjectTokenTypeUnsupported: "invalid_request",
	trat.ReasonSubjectTokenReplayed:        "invalid_request",
	trat.ReasonClientUnauthenticated:       "invalid_client",
	trat.ReasonPeerSVIDExpired:             "invalid_client",
	trat.ReasonIssuanceDenied:              "unauthorized_client",
	trat.ReasonReplacementDenied:           "unauthorized_client",
	trat.ReasonReplacementLimit:            "unauthorized_client",
	trat.ReasonPeerDenied:                  "unauthorized_client",
	trat.ReasonTokenTooLarge:               "invalid_request",
	trat.ReasonRateLimited:                 "slow_down",
	trat.ReasonDependencyUnavailable:       "temporarily_unavailable",
	trat.ReasonKeysUnavailable:             "temporarily_unavailable",
	trat.ReasonPolicyUnavailable:           "temporarily_unavailable",
	trat.ReasonInternal:                    "server_error",
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
	"request_id is not ASCII":       one(func(r *tratv1.ExchangeRequest) { r.RequestId = "reqü" }, "request_id", "PARAMETER_INVALID"),
	"request_id of another request": {
		prepare: func(f *fixture) {
			other := goodRequest()
			other.Scope = "order.read"
			f.exchange(f.t, f.as(f.t, gateway), other)
			f.records.take()
		},
		code: codes.InvalidArgument, reason: trat.ReasonParameterInvalid, fields: map[string]string{"request_id": "PARAMETER_INVALID"},
	},
	"request_id with a line break": one(func(r *tratv1.ExchangeRequest) { r.RequestId = "a\nb" }, "request_id", "PARAMETER_INVALID"),

	"another grant type":            one(func(r *tratv1.ExchangeRequest) { r.GrantType = "client_credentials" }, "grant_type", "GRANT_TYPE_UNSUPPORTED"),
	"another trust domain":          one(func(r *tratv1.ExchangeRequest) { r.Audience = "other.test" }, "audience", "AUDIENCE_NOT_SERVED"),
	"trust domain in other case":    one(func(r *tratv1.ExchangeRequest) { r.Audience = "SHOP.test" }, "audience", "AUDIENCE_NOT_SERVED"),
	"trust domain as a prefix":      one(func(r *tratv1.ExchangeRequest) { r.Audience = "shop.test.evil" }, "audience", "AUDIENCE_NOT_SERVED"),
	"the old spelling of the URN":   one(func(r *tratv1.ExchangeRequest) { r.RequestedTokenType = "urn:ietf:params:oauth:token-type:txn-token" }, "requested_token_type", "PARAMETER_INVALID"),
	"an invented requested type":    one(func(r *tratv1.ExchangeRequest) { r.RequestedTokenType = "urn:x:vm" }, "requested_token_type", "PARAMETER_INVALID"),
	"another requested type":        one(func(r *tratv1.ExchangeRequest) { r.RequestedTokenType = trat.TokenTypeAccessToken }, "requested_token_type", "PARAMETER_INVALID"),
	"scope with two spaces":         one(func(r *tratv1.ExchangeRequest) { r.Scope = "order.create  order.read" }, "scope", "SCOPE_MALFORMED"),
	"scope with a quote":            one(func(r *tratv1.ExchangeRequest) { r.Scope = `order"create` }, "scope", "SCOPE_MALFORMED"),
	"token type is no absolute URI": one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "access_token" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type has a fragment":     one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType += "#x" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type with space at end":  one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType += " " }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type in another case":    one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = strings.ToUpper(r.GetSubjectTokenType()) }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type txn-token":          one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "urn:ietf:params:oauth:token-type:txn-token" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"a SAML assertion":              one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = trat.TokenTypeSAML2 }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type is a bare scheme":   one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "urn:" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type is not known":       one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = "urn:x:vm" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"token type is not turned on":   one(func(r *tratv1.ExchangeRequest) { r.SubjectTokenType = trat.TokenTypeIDToken }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"a refresh token": one(func(r *tratv1.ExchangeRequest) {
		r.SubjectTokenType = "urn:ietf:params:oauth:token-type:refresh_token"
	}, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
	"request_context is a list":      one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `[]` }, "request_context", "PARAMETER_INVALID"),
	"request_context is a text":      one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `"x"` }, "request_context", "PARAMETER_INVALID"),
	"request_context is nested":      one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `{"ip":` + strings.Repeat("[", 99) }, "request_context", "PARAMETER_INVALID"),
	"request_context is no JSON":     one(func(r *tratv1.ExchangeRequest) { r.RequestContext = `{` }, "request_context", "PARAMETER_INVALID"),
	"request_details is a number":    one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `1` }, "request_details", "PARAMETER_INVALID"),
	"request_details is two objects": one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{}{}` }, "request_details", "PARAMETER_INVALID"),
	"request_details overflows":      one(func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"order_id":99999999999999999999}` }, "request_details", "PARAMETER_INVALID"),
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
	"more requests than allowed": {
		prepare: func(f *fixture) {
			ctx := f.as(f.t, gateway)
			for range server.DefaultBurst {
				_, _ = f.server.Exchange(ctx, &tratv1.ExchangeRequest{})
			}
			f.records.take()
		},
		code: codes.ResourceExhausted, reason: trat.ReasonRateLimited, retry: true,
	},
	"the policy decision point denies": {
		as: desk, request: func(r *tratv1.ExchangeRequest) { r.Scope = "desk.look" },
		prepare: func(f *fixture) { f.pdp.answer = func(context.Context) (bool, error) { return false, nil } },
		code:    codes.PermissionDenied, reason: trat.ReasonIssuanceDenied,
	},
	"the policy decision point is down": {
		as: desk, request: func(r *tratv1.ExchangeRequest) { r.Scope, r.RequestDetails = "desk.read", "" },
		prepare: func(f *fixture) {
			f.pdp.answer = func(context.Context) (bool, error) { return false, errors.New("secret cause") }
		},
		code: codes.Unavailable, reason: trat.ReasonDependencyUnavailable, retry: true,
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
