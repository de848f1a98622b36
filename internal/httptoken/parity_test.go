package httptoken_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// exchange is a request that both front ends get: goodRequest, as request changes it, at a
// fixture as prepare changes that.
type exchange struct {
	as      spiffeid.ID // default: gateway
	request func(*tratv1.ExchangeRequest)
	prepare func(*fixture)
	want    trat.Reason // empty: issued
}

func exchanges() map[string]exchange {
	type request = tratv1.ExchangeRequest
	long := func(n int) string { return strings.Repeat("x", n) }
	table := map[string]exchange{
		"a good request":     {},
		"two scopes":         {request: func(r *request) { r.Scope = "order.read order.create" }},
		"no request_context": {request: func(r *request) { r.RequestContext = "" }},
		"with a request_id":  {request: func(r *request) { r.RequestId = "req-1" }},
		"64-bit integers, unicode": {request: func(r *request) {
			r.RequestDetails = `{"order_id":-9223372036854775808,"note":"\u00e9 é 😀 %41 +&=;"}`
		}},
		"everything missing":        {request: func(r *request) { proto.Reset(r) }, want: trat.ReasonParameterMissing},
		"grant_type missing":        {request: func(r *request) { r.GrantType = "" }, want: trat.ReasonParameterMissing},
		"audience missing":          {request: func(r *request) { r.Audience = "" }, want: trat.ReasonParameterMissing},
		"scope missing":             {request: func(r *request) { r.Scope = "" }, want: trat.ReasonParameterMissing},
		"requested type missing":    {request: func(r *request) { r.RequestedTokenType = "" }, want: trat.ReasonParameterMissing},
		"subject_token missing":     {request: func(r *request) { r.SubjectToken = "" }, want: trat.ReasonParameterMissing},
		"subject type missing":      {request: func(r *request) { r.SubjectTokenType = "" }, want: trat.ReasonParameterMissing},
		"a detail missing":          {request: func(r *request) { r.RequestDetails = `{}` }, want: trat.ReasonParameterMissing},
		"grant_type too long":       {request: func(r *request) { r.GrantType = long(129) }, want: trat.ReasonParameterInvalid},
		"audience too long":         {request: func(r *request) { r.Audience = long(256) }, want: trat.ReasonParameterInvalid},
		"scope too long":            {request: func(r *request) { r.Scope = long(1025) }, want: trat.ReasonParameterInvalid},
		"requested type too long":   {request: func(r *request) { r.RequestedTokenType = long(129) }, want: trat.ReasonParameterInvalid},
		"subject_token too long":    {request: func(r *request) { r.SubjectToken = long(16385) }, want: trat.ReasonParameterInvalid},
		"subject type too long":     {request: func(r *request) { r.SubjectTokenType = "urn:" + long(256) }, want: trat.ReasonParameterInvalid},
		"request_context too long":  {request: func(r *request) { r.RequestContext = `{"ip":"` + long(8192) + `"}` }, want: trat.ReasonParameterInvalid},
		"request_details too long":  {request: func(r *request) { r.RequestDetails = `{"order_id":"` + long(8192) + `"}` }, want: trat.ReasonParameterInvalid},
		"request_id too long":       {request: func(r *request) { r.RequestId = long(65) }, want: trat.ReasonParameterInvalid},
		"request_id with a newline": {request: func(r *request) { r.RequestId = "a\nb" }, want: trat.ReasonParameterInvalid},
		"context is a list":         {request: func(r *request) { r.RequestContext = `[]` }, want: trat.ReasonParameterInvalid},
		"details are no JSON":       {request: func(r *request) { r.RequestDetails = `{` }, want: trat.ReasonParameterInvalid},
		"details say it twice":      {request: func(r *request) { r.RequestDetails = `{"order_id":1,"order_id":2}` }, want: trat.ReasonParameterInvalid},
		"details hold a JWT":        {request: func(r *request) { r.RequestDetails = `{"order_id":"` + subjectToken + `"}` }, want: trat.ReasonParameterInvalid},
		"the old spelling":          {request: func(r *request) { r.RequestedTokenType = "urn:ietf:params:oauth:token-type:txn-token" }, want: trat.ReasonParameterInvalid},
		"another requested type":    {request: func(r *request) { r.RequestedTokenType = trat.TokenTypeAccessToken }, want: trat.ReasonParameterInvalid},
		"several kinds of problem": {request: func(r *request) {
			r.GrantType, r.Scope, r.SubjectToken, r.RequestDetails, r.RequestId = "password", "a  b", "", "[", "?"
		}, want: trat.ReasonParameterMissing},
		"another grant type":    {request: func(r *request) { r.GrantType = "client_credentials" }, want: trat.ReasonGrantTypeUnsupported},
		"another trust domain":  {request: func(r *request) { r.Audience = "other.test" }, want: trat.ReasonAudienceNotServed},
		"scope with two spaces": {request: func(r *request) { r.Scope = "order.create  order.read" }, want: trat.ReasonScopeMalformed},
		"scope in another case": {request: func(r *request) { r.Scope = "Order.Create" }, want: trat.ReasonScopeExceeded},
		"scope not granted":     {request: func(r *request) { r.Scope = "order.delete" }, want: trat.ReasonScopeExceeded},
		"a relative type":       {request: func(r *request) { r.SubjectTokenType = "access_token" }, want: trat.ReasonSubjectTokenTypeUnsupported},
		"an unknown type":       {request: func(r *request) { r.SubjectTokenType = "urn:x:vm" }, want: trat.ReasonSubjectTokenTypeUnsupported},
		"a refresh token": {request: func(r *request) {
			r.SubjectTokenType = "urn:ietf:params:oauth:token-type:refresh_token"
		}, want: trat.ReasonSubjectTokenTypeUnsupported},
		"token too large":         {request: func(r *request) { r.RequestDetails = `{"order_id":"` + long(6000) + `"}` }, want: trat.ReasonTokenTooLarge},
		"a workload without rule": {as: stranger, want: trat.ReasonIssuanceDenied},
		"an empty policy":         {prepare: func(f *fixture) { f.setPolicy(&policy.Policy{}) }, want: trat.ReasonIssuanceDenied},
		"no policy":               {prepare: func(f *fixture) { f.setPolicy(nil) }, want: trat.ReasonPolicyUnavailable},
		"no key yet":              {prepare: func(f *fixture) { f.clock.Advance(-time.Millisecond) }, want: trat.ReasonKeysUnavailable},
		"the SVID has expired": {
			prepare: func(f *fixture) { f.clock.Advance(devauthority.DefaultSVIDLifetime + time.Second) },
			want:    trat.ReasonPeerSVIDExpired,
		},
		"unknown scope": {
			prepare: verifies(func(in subject.Input) (*subject.Principal, error) {
				p := alice(in)
				p.Scopes, p.ScopeKnown = nil, false
				return p, nil
			}),
			want: trat.ReasonSubjectScopeUnknown,
		},
		"a step panics": {
			prepare: verifies(func(in subject.Input) (*subject.Principal, error) { panic("cannot handle " + in.Token) }),
			want:    trat.ReasonInternal,
		},
		"a step fails without a reason": {
			prepare: verifies(func(subject.Input) (*subject.Principal, error) { return nil, errors.New("secret cause") }),
			want:    trat.ReasonInternal,
		},
	}
	for _, reason := range []trat.Reason{
		trat.ReasonSubjectTokenInvalid, trat.ReasonSubjectTokenExpired, trat.ReasonSubjectTokenReplayed,
		trat.ReasonSubjectTokenTypeUnsupported, trat.ReasonDependencyUnavailable, trat.ReasonRateLimited,
		trat.ReasonReplacementDenied, trat.ReasonReplacementLimit, trat.ReasonIssuanceDenied,
		trat.ReasonScopeExceeded, trat.ReasonClientUnauthenticated,
	} {
		table["a step says "+string(reason)] = exchange{
			prepare: verifies(func(subject.Input) (*subject.Principal, error) {
				return nil, trat.Errorf(reason, "secret_claim", "secret cause")
			}),
			want: reason,
		}
	}
	return table
}

func verifies(verify func(subject.Input) (*subject.Principal, error)) func(*fixture) {
	return func(f *fixture) {
		f.subjects.set(func(_ context.Context, in subject.Input) (*subject.Principal, error) { return verify(in) })
	}
}

// outcome is what a caller learns, whichever way it asked.
type outcome struct {
	Reason trat.Reason
	Fields map[string]string
	Retry  bool
	Claims trat.Claims // but what is new each time

	IssuedTokenType, TokenType, Scope string
	ExpiresIn                         int64
}

// Covers TTS-02, TTS-03, TTS-04, TTS-05, TTS-06, TTS-07, TTS-08, TTS-09, TTS-11, TTS-33, TTS-34, TTS-35.
// Covers ERR-01, ERR-02, ERR-03, ERR-04, ERR-05, ERR-06, ERR-07, ERR-08, ERR-09, ERR-10, ERR-14, ERR-18, PRIV-01.
func TestBothFrontEndsGiveTheSameAnswer(t *testing.T) {
	for name, tc := range exchanges() {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			id := gateway
			if !tc.as.IsZero() {
				id = tc.as
			}
			overGRPC := f.dialGRPC(t, f.serveGRPC(t), id)
			overHTTP := f.client(t, f.serveHTTP(t), id)
			// Connected before prepare changes anything.
			jwks := get(t, overHTTP, "/jwks").text
			if _, err := overGRPC.Exchange(t.Context(), &tratv1.ExchangeRequest{}); status.Code(err) != grpcerr.Code(trat.ReasonParameterMissing) {
				t.Fatal(err)
			}
			f.records.take()
			if tc.prepare != nil {
				tc.prepare(f)
			}
			request := goodRequest()
			if tc.request != nil {
				tc.request(request)
			}

			response, err := overGRPC.Exchange(t.Context(), request)
			grpcRecords := f.records.take()
			answer := post(t, overHTTP, encode(request))
			httpRecords := f.records.take()

			want, got := grpcOutcome(t, f, jwks, response, err), httpOutcome(t, f, jwks, answer)
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b trat.Claims) bool { return a == b })); diff != "" {
				t.Errorf("the answers differ (-gRPC +HTTP):\n%s", diff)
			}
			if got.Reason != tc.want {
				t.Errorf("reason %q, want %q", got.Reason, tc.want)
			}
			if len(grpcRecords) != 1 || len(httpRecords) != 1 || grpcRecords[0].Reason != httpRecords[0].Reason ||
				grpcRecords[0].Requester != httpRecords[0].Requester {
				t.Errorf("audit records differ:\n%+v\n%+v", grpcRecords, httpRecords)
			}
			checkAnswer(t, answer, tc.want)
			if text := f.logs.String(); strings.Contains(text, "eyJ") || strings.Contains(text, "alice@") {
				t.Errorf("a token or subject is in the log:\n%s", text)
			}
		})
	}
}

func grpcOutcome(t *testing.T, f *fixture, jwks string, response *tratv1.ExchangeResponse, err error) outcome {
	t.Helper()
	if err == nil {
		return outcome{
			Fields: map[string]string{},
			Claims: claims(f.verify(t, jwks, response.GetAccessToken())), IssuedTokenType: response.GetIssuedTokenType(),
			TokenType: response.GetTokenType(), ExpiresIn: response.GetExpiresIn(), Scope: response.GetScope(),
		}
	}
	o := outcome{Fields: map[string]string{}}
	o.Reason, _ = grpcerr.ReasonFrom(err)
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				o.Fields[v.GetField()] = v.GetReason()
			}
		case *errdetails.RetryInfo:
			o.Retry = true
		}
	}
	return o
}

func httpOutcome(t *testing.T, f *fixture, jwks string, answer reply) outcome {
	t.Helper()
	o := outcome{
		Reason: answer.body.Reason, Fields: answer.fields(), Retry: answer.header.Get("Retry-After") != "",
		IssuedTokenType: answer.body.IssuedTokenType, TokenType: answer.body.TokenType,
		ExpiresIn: answer.body.ExpiresIn, Scope: answer.body.Scope,
	}
	if answer.body.AccessToken != "" {
		o.Claims = claims(f.verify(t, jwks, answer.body.AccessToken))
	}
	return o
}

// claims are all but the one that must differ; the clock stands still.
func claims(token *trat.Token) trat.Claims {
	c := token.Claims()
	c.TransactionID = ""
	c.IssuedAt, c.Expiry = c.IssuedAt.UTC(), c.Expiry.UTC()
	return c
}

// checkAnswer holds an answer of the token endpoint against the OAuth specifications.
func checkAnswer(t *testing.T, answer reply, reason trat.Reason) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type":                "application/json",
		"Cache-Control":               "no-store",
		"Pragma":                      "no-cache",
		"X-Content-Type-Options":      "nosniff",
		"Access-Control-Allow-Origin": "",
		"Www-Authenticate":            "",
		"Set-Cookie":                  "",
	} {
		if got := answer.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if strings.Contains(answer.text, "secret") || strings.Contains(answer.text, "refresh_token\"") {
		t.Errorf("the answer says too much: %s", answer.text)
	}
	if reason == "" {
		if answer.status != http.StatusOK || answer.body.TokenType != "N_A" || answer.body.IssuedTokenType != trat.TokenType ||
			answer.body.ExpiresIn <= 0 || answer.body.Scope == "" || answer.body.Error != "" {
			t.Errorf("status %d, %s", answer.status, answer.text)
		}
		return
	}
	oauth := grpcerr.OAuth(reason)
	if answer.status != oauth.Status || answer.body.Error != oauth.Code || answer.body.Description == "" {
		t.Errorf("status %d, %s, want %+v", answer.status, answer.text, oauth)
	}
	if strings.Contains(answer.text, "eyJ") || answer.body.AccessToken != "" {
		t.Errorf("a token is in the refusal: %s", answer.text)
	}
}
