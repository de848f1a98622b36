package httptoken_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/trat"
)

// grants are requests that both front ends must answer with the same token: goodRequest,
// changed.
var grants = map[string]func(*tratv1.ExchangeRequest){
	"a good request":     func(*tratv1.ExchangeRequest) {},
	"two scopes":         func(r *tratv1.ExchangeRequest) { r.Scope = "order.read order.create" },
	"no request_context": func(r *tratv1.ExchangeRequest) { r.RequestContext = "" },
	"with a request_id":  func(r *tratv1.ExchangeRequest) { r.RequestId = "req-1" },
	"64-bit integers, unicode": func(r *tratv1.ExchangeRequest) {
		r.RequestDetails = `{"order_id":-9223372036854775808,"note":"\u00e9 é 😀 %41 +&=;"}`
	},
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
func TestBothFrontEndsIssueTheSame(t *testing.T) {
	for name, change := range grants {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			request := goodRequest()
			change(request)
			response, err := f.DialGRPC(t, f.ServeGRPC(t), gateway).Exchange(t.Context(), request)
			overHTTP := f.client(t, f.serveHTTP(t), gateway)
			jwks := get(t, overHTTP, "/jwks").text
			answer := post(t, overHTTP, encode(request))
			want, got := grpcOutcome(t, f, jwks, response, err), httpOutcome(t, f, jwks, answer)
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b trat.Claims) bool { return a == b })); diff != "" {
				t.Errorf("the answers differ (-gRPC +HTTP):\n%s", diff)
			}
			checkAnswer(t, answer, "")
			checkRecords(t, f, gateway, "", 2)
		})
	}
}

// Covers TTS-02, TTS-03, TTS-04, TTS-05, TTS-06, TTS-07, TTS-08, TTS-09, TTS-42.
// Covers ERR-01, ERR-02, ERR-03, ERR-04, ERR-05, ERR-06, ERR-07, ERR-08, ERR-09, ERR-10, ERR-14, ERR-18, PRIV-01.
func TestBothFrontEndsRefuseTheSame(t *testing.T) {
	for name, tc := range servertest.Refusals() {
		expected := servertest.Answers[tc.Reason]
		want := outcome{Reason: tc.Reason, Fields: tc.Fields, Retry: expected.Retry}
		if want.Fields == nil {
			want.Fields = map[string]string{}
		}
		check := func(t *testing.T, f *fixture, got outcome) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkRecords(t, f, tc.Caller(), tc.Reason, 1)
			if text := f.Logs.String(); strings.Contains(text, "eyJ") || strings.Contains(text, "alice@") {
				t.Errorf("a token or subject is in the log:\n%s", text)
			}
		}
		t.Run(name+", gRPC", func(t *testing.T) {
			f := newFixture(t)
			exchange := f.overGRPC(t, tc)
			response, err := exchange(tc.Request(t, f.World))
			if status.Code(err) != expected.Code {
				t.Errorf("code %s, want %s", status.Code(err), expected.Code)
			}
			check(t, f, grpcOutcome(t, f, "", response, err))
		})
		t.Run(name+", HTTP", func(t *testing.T) {
			f := newFixture(t)
			exchange := f.overHTTP(t, tc)
			answer := exchange(tc.Request(t, f.World))
			checkAnswer(t, answer, tc.Reason)
			check(t, f, httpOutcome(t, f, "", answer))
		})
	}
}

// overGRPC connects the caller of tc, before anything is done to the World.
func (f *fixture) overGRPC(t *testing.T, tc servertest.Refusal) func(*tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	t.Helper()
	if tc.Nobody {
		return func(r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
			return f.Server.Exchange(t.Context(), r)
		}
	}
	client := f.DialGRPC(t, f.ServeGRPC(t), tc.Caller())
	if _, err := client.Exchange(t.Context(), &tratv1.ExchangeRequest{}); status.Code(err) == codes.Unavailable {
		t.Fatal(err)
	}
	return func(r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		return client.Exchange(t.Context(), r)
	}
}

// overHTTP does it with the form.
func (f *fixture) overHTTP(t *testing.T, tc servertest.Refusal) func(*tratv1.ExchangeRequest) reply {
	t.Helper()
	if tc.Nobody {
		h := f.handler(t)
		return func(r *tratv1.ExchangeRequest) reply {
			form := newRequest(t, http.MethodPost, "/token", encode(r))
			form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			recorder := httptest.NewRecorder()
			h.ServeHTTP(recorder, form)
			return read(t, recorder.Result())
		}
	}
	client := f.client(t, f.serveHTTP(t), tc.Caller())
	if answer := get(t, client, "/jwks"); answer.status != http.StatusOK {
		t.Fatal(answer.text)
	}
	return func(r *tratv1.ExchangeRequest) reply { return post(t, client, encode(r)) }
}

// checkRecords wants n audit records since the last look, all of the same outcome.
func checkRecords(t *testing.T, f *fixture, caller spiffeid.ID, reason trat.Reason, n int) {
	t.Helper()
	requester := ""
	if !caller.IsZero() {
		requester = caller.String()
	}
	list := f.Records.Take()
	if len(list) != n {
		t.Errorf("%d audit records, want %d", len(list), n)
	}
	for _, r := range list {
		if r.Reason != reason || r.Requester != requester || r.Issued() != (r.Fingerprint != "") {
			t.Errorf("audit record %+v", r)
		}
	}
}

func grpcOutcome(t *testing.T, f *fixture, jwks string, response *tratv1.ExchangeResponse, err error) outcome {
	t.Helper()
	if err == nil {
		return outcome{
			Fields: map[string]string{},
			Claims: claims(f.VerifyWith(t, jwks, response.GetAccessToken())), IssuedTokenType: response.GetIssuedTokenType(),
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
		o.Claims = claims(f.VerifyWith(t, jwks, answer.body.AccessToken))
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
	want := servertest.Answers[reason]
	if answer.status != want.Status || answer.body.Error != want.OAuth || answer.body.Description == "" {
		t.Errorf("status %d, %s, want %+v", answer.status, answer.text, want)
	}
	if strings.Contains(answer.text, "eyJ") || answer.body.AccessToken != "" {
		t.Errorf("a token is in the refusal: %s", answer.text)
	}
}
