package servertest

import (
	"strings"

	"google.golang.org/protobuf/proto"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

type request = tratv1.ExchangeRequest

// badRequests are refused for what they say, whatever the state of the service.
func badRequests() map[string]Refusal {
	return map[string]Refusal{
		"grant_type missing":           one(func(r *request) { r.GrantType = "" }, "grant_type", "PARAMETER_MISSING"),
		"audience missing":             one(func(r *request) { r.Audience = "" }, "audience", "PARAMETER_MISSING"),
		"scope missing":                one(func(r *request) { r.Scope = "" }, "scope", "PARAMETER_MISSING"),
		"requested_token_type missing": one(func(r *request) { r.RequestedTokenType = "" }, "requested_token_type", "PARAMETER_MISSING"),
		"subject_token missing":        one(func(r *request) { r.SubjectToken = "" }, "subject_token", "PARAMETER_MISSING"),
		"subject_token_type missing":   one(func(r *request) { r.SubjectTokenType = "" }, "subject_token_type", "PARAMETER_MISSING"),

		"grant_type too long":           one(func(r *request) { r.GrantType = long(129) }, "grant_type", "PARAMETER_INVALID"),
		"audience too long":             one(func(r *request) { r.Audience = long(256) }, "audience", "PARAMETER_INVALID"),
		"scope too long":                one(func(r *request) { r.Scope = long(1025) }, "scope", "PARAMETER_INVALID"),
		"requested_token_type too long": one(func(r *request) { r.RequestedTokenType = long(129) }, "requested_token_type", "PARAMETER_INVALID"),
		"subject_token too long":        one(func(r *request) { r.SubjectToken = long(16385) }, "subject_token", "PARAMETER_INVALID"),
		"subject_token_type too long":   one(func(r *request) { r.SubjectTokenType = "urn:" + long(256) }, "subject_token_type", "PARAMETER_INVALID"),
		"request_context too long":      one(func(r *request) { r.RequestContext = `{"ip":"` + long(8192) + `"}` }, "request_context", "PARAMETER_INVALID"),
		"request_details too long":      one(func(r *request) { r.RequestDetails = `{"order_id":"` + long(8192) + `"}` }, "request_details", "PARAMETER_INVALID"),
		"request_id too long":           one(func(r *request) { r.RequestId = long(65) }, "request_id", "PARAMETER_INVALID"),
		"request_id is not ASCII":       one(func(r *request) { r.RequestId = "reqü" }, "request_id", "PARAMETER_INVALID"),
		"request_id with a line break":  one(func(r *request) { r.RequestId = "a\nb" }, "request_id", "PARAMETER_INVALID"),

		"call_chain too long":            one(replacing(func(r *request) { r.CallChain = long(16385) }), "call_chain", "PARAMETER_INVALID"),
		"call_chain in another alphabet": one(replacing(func(r *request) { r.CallChain = "a+b/" }), "call_chain", "PARAMETER_INVALID"),
		"call_chain holds a JWT":         one(replacing(func(r *request) { r.CallChain = SubjectToken }), "call_chain", "PARAMETER_INVALID"),
		"call_chain without a TraT":      one(func(r *request) { r.CallChain = "AAAA" }, "call_chain", "PARAMETER_INVALID"),

		"another grant type":            one(func(r *request) { r.GrantType = "client_credentials" }, "grant_type", "GRANT_TYPE_UNSUPPORTED"),
		"another trust domain":          one(func(r *request) { r.Audience = "other.test" }, "audience", "AUDIENCE_NOT_SERVED"),
		"trust domain in other case":    one(func(r *request) { r.Audience = "SHOP.test" }, "audience", "AUDIENCE_NOT_SERVED"),
		"trust domain as a prefix":      one(func(r *request) { r.Audience = "shop.test.evil" }, "audience", "AUDIENCE_NOT_SERVED"),
		"the old spelling of the URN":   one(func(r *request) { r.RequestedTokenType = "urn:ietf:params:oauth:token-type:txn-token" }, "requested_token_type", "PARAMETER_INVALID"),
		"an invented requested type":    one(func(r *request) { r.RequestedTokenType = "urn:x:vm" }, "requested_token_type", "PARAMETER_INVALID"),
		"another requested type":        one(func(r *request) { r.RequestedTokenType = trat.TokenTypeAccessToken }, "requested_token_type", "PARAMETER_INVALID"),
		"scope with two spaces":         one(func(r *request) { r.Scope = "order.create  order.read" }, "scope", "SCOPE_MALFORMED"),
		"scope with a quote":            one(func(r *request) { r.Scope = `order"create` }, "scope", "SCOPE_MALFORMED"),
		"token type is no absolute URI": one(func(r *request) { r.SubjectTokenType = "access_token" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"token type has a fragment":     one(func(r *request) { r.SubjectTokenType += "#x" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"token type with space at end":  one(func(r *request) { r.SubjectTokenType += " " }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"token type in another case":    one(func(r *request) { r.SubjectTokenType = strings.ToUpper(r.GetSubjectTokenType()) }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"token type txn-token":          one(func(r *request) { r.SubjectTokenType = "urn:ietf:params:oauth:token-type:txn-token" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"a SAML assertion":              one(func(r *request) { r.SubjectTokenType = trat.TokenTypeSAML2 }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"token type is a bare scheme":   one(func(r *request) { r.SubjectTokenType = "urn:" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"token type is not known":       one(func(r *request) { r.SubjectTokenType = "urn:x:vm" }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"token type is not turned on":   one(func(r *request) { r.SubjectTokenType = trat.TokenTypeIDToken }, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"a refresh token": one(func(r *request) {
			r.SubjectTokenType = "urn:ietf:params:oauth:token-type:refresh_token"
		}, "subject_token_type", "SUBJECT_TOKEN_TYPE_UNSUPPORTED"),
		"request_context is a list":      one(func(r *request) { r.RequestContext = `[]` }, "request_context", "PARAMETER_INVALID"),
		"request_context is a text":      one(func(r *request) { r.RequestContext = `"x"` }, "request_context", "PARAMETER_INVALID"),
		"request_context is nested":      one(func(r *request) { r.RequestContext = `{"ip":` + strings.Repeat("[", 99) }, "request_context", "PARAMETER_INVALID"),
		"request_context is no JSON":     one(func(r *request) { r.RequestContext = `{` }, "request_context", "PARAMETER_INVALID"),
		"request_details is a number":    one(func(r *request) { r.RequestDetails = `1` }, "request_details", "PARAMETER_INVALID"),
		"request_details is two objects": one(func(r *request) { r.RequestDetails = `{}{}` }, "request_details", "PARAMETER_INVALID"),
		"request_details overflows":      one(func(r *request) { r.RequestDetails = `{"order_id":99999999999999999999}` }, "request_details", "PARAMETER_INVALID"),
		"request_details is null":        one(func(r *request) { r.RequestDetails = `null` }, "request_details", "PARAMETER_INVALID"),
		"request_details says it twice":  one(func(r *request) { r.RequestDetails = `{"order_id":1,"order_id":2}` }, "request_details", "PARAMETER_INVALID"),
		"a required detail is missing":   one(func(r *request) { r.RequestDetails = `{"note":"x"}` }, "request_details.order_id", "PARAMETER_MISSING"),
		"a detail of another type":       one(func(r *request) { r.RequestDetails = `{"order_id":1,"tax":"secret"}` }, "request_details.tax", "PARAMETER_INVALID"),
		"a context of another type":      one(func(r *request) { r.RequestContext = `{"authn":["secret"]}` }, "request_context.authn", "PARAMETER_INVALID"),
		"request_details holds a JWT":    one(func(r *request) { r.RequestDetails = `{"order_id":"` + SubjectToken + `"}` }, "request_details", "PARAMETER_INVALID"),
		"request_context holds the same": one(func(r *request) { r.RequestContext = `{"ip":"` + SubjectToken + `"}` }, "request_context", "PARAMETER_INVALID"),

		"everything missing": {
			Change: func(r *request) { proto.Reset(r) },
			Reason: trat.ReasonParameterMissing,
			Fields: map[string]string{
				"grant_type": "PARAMETER_MISSING", "audience": "PARAMETER_MISSING", "scope": "PARAMETER_MISSING",
				"requested_token_type": "PARAMETER_MISSING", "subject_token": "PARAMETER_MISSING", "subject_token_type": "PARAMETER_MISSING",
			},
		},
		"several kinds of problem at once": {
			Change: func(r *request) {
				r.GrantType, r.Scope, r.SubjectToken, r.RequestDetails, r.RequestId = "password", "a  b", "", "[", "?"
			},
			Reason: trat.ReasonParameterMissing,
			Fields: map[string]string{
				"subject_token": "PARAMETER_MISSING", "grant_type": "GRANT_TYPE_UNSUPPORTED", "scope": "SCOPE_MALFORMED",
				"request_details": "PARAMETER_INVALID", "request_id": "PARAMETER_INVALID",
			},
		},
	}
}

// one is a bad request with one parameter at fault.
func one(change func(*request), field string, reason trat.Reason) Refusal {
	return Refusal{Change: change, Reason: reason, Fields: map[string]string{field: string(reason)}}
}

// replacing is change for a request of which the subject token is said to be a TraT.
func replacing(change func(*request)) func(*request) {
	return func(r *request) {
		r.SubjectTokenType = trat.TokenType
		change(r)
	}
}

func long(n int) string { return strings.Repeat("x", n) }
