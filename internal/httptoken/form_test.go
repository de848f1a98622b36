package httptoken_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// badForm is a request that never becomes an ExchangeRequest: a good one, changed.
type badForm struct {
	change func(*http.Request)
	body   func(good string) string
	status int
	oauth  string
	reason trat.Reason
	fields map[string]string
}

func badForms() map[string]badForm {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	plus := func(more string) func(string) string { return func(good string) string { return good + "&" + more } }
	invalid := func(f badForm) badForm {
		f.oauth, f.reason = "invalid_request", trat.ReasonParameterInvalid
		if f.status == 0 {
			f.status = http.StatusBadRequest
		}
		return f
	}
	blaming := func(name string, f badForm) badForm {
		f.fields = map[string]string{name: "PARAMETER_INVALID"}
		return invalid(f)
	}
	invalidClient := func(f badForm) badForm {
		f.status, f.oauth, f.reason = http.StatusUnauthorized, "invalid_client", trat.ReasonClientUnauthenticated
		return f
	}
	mediaType := func(f badForm) badForm {
		f.status = http.StatusUnsupportedMediaType
		return invalid(f)
	}
	return map[string]badForm{
		"a parameter twice":              blaming("scope", badForm{body: plus("scope=order.create")}),
		"twice, first without a value":   blaming("scope", badForm{body: func(good string) string { return "scope=&" + good }}),
		"twice, second without a value":  blaming("scope", badForm{body: plus("scope")}),
		"twice, spelled in two ways":     blaming("scope", badForm{body: plus("%73cope=order.create")}),
		"the subject token twice":        blaming("subject_token", badForm{body: plus("subject_token=" + subjectToken)}),
		"request_id twice":               blaming("request_id", badForm{body: plus("request_id=a&request_id=b")}),
		"an unknown parameter twice":     invalid(badForm{body: plus(subjectToken + "=a&" + subjectToken + "=b")}),
		"too many parameters":            invalid(badForm{body: plus(numbered(64))}),
		"bad percent-encoding":           blaming("request_id", badForm{body: plus("request_id=%4")}),
		"bad percent-encoding of a name": invalid(badForm{body: plus("%zz=1")}),
		"no name":                        invalid(badForm{body: plus("=1")}),
		"a semicolon between parameters": blaming("request_id", badForm{body: plus("request_id=a;client_secret=x")}),
		"no UTF-8":                       blaming("request_id", badForm{body: plus("request_id=%ff")}),
		"overlong UTF-8":                 blaming("request_id", badForm{body: plus("request_id=%c0%af")}),
		"raw UTF-8":                      blaming("request_id", badForm{body: plus("request_id=é")}),
		"a raw space":                    blaming("request_id", badForm{body: plus("request_id=a b")}),
		"a raw line break":               blaming("request_id", badForm{body: plus("request_id=a\r\n")}),
		"a NUL":                          blaming("request_id", badForm{body: plus("request_id=a\x00")}),
		"a query":                        invalid(badForm{change: func(r *http.Request) { r.URL.RawQuery = "request_id=1" }}),
		"the token in the query":         invalid(badForm{change: func(r *http.Request) { r.URL.RawQuery = "subject_token=" + subjectToken }}),
		"an empty query":                 invalid(badForm{change: func(r *http.Request) { r.URL.ForceQuery = true }}),
		"JSON":                           mediaType(badForm{change: header("Content-Type", "application/json"), body: func(string) string { return `{"scope":"order.create"}` }}),
		"no content type":                mediaType(badForm{change: func(r *http.Request) { r.Header.Del("Content-Type") }}),
		"multipart":                      mediaType(badForm{change: header("Content-Type", "multipart/form-data; boundary=x")}),
		"another charset":                mediaType(badForm{change: header("Content-Type", "application/x-www-form-urlencoded; charset=utf-7")}),
		"another parameter of the type":  mediaType(badForm{change: header("Content-Type", "application/x-www-form-urlencoded; boundary=x")}),
		"a malformed content type":       mediaType(badForm{change: header("Content-Type", "application/x-www-form-urlencoded; charset")}),
		"two content types":              mediaType(badForm{change: func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }}),
		"compressed":                     mediaType(badForm{change: header("Content-Encoding", "gzip")}),
		"too large":                      invalid(badForm{status: http.StatusRequestEntityTooLarge, body: plus("x=" + strings.Repeat("x", 64<<10))}),
		"without a length":               invalid(badForm{status: http.StatusLengthRequired, change: func(r *http.Request) { r.ContentLength = -1 }}),
		"HTTP Basic":                     invalidClient(badForm{change: func(r *http.Request) { r.SetBasicAuth("gateway", "secret") }}),
		"a bearer token":                 invalidClient(badForm{change: header("Authorization", "Bearer "+subjectToken)}),
		"an empty Authorization":         invalidClient(badForm{change: header("Authorization", "")}),
		"client_secret":                  invalidClient(badForm{body: plus("client_id=" + url.QueryEscape(gateway.String()) + "&client_secret=secret")}),
		"client_assertion":               invalidClient(badForm{body: plus("client_assertion=" + subjectToken)}),
		"client_assertion_type":          invalidClient(badForm{body: plus("client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer")}),
		"client_id of another":           invalidClient(badForm{body: plus("client_id=" + url.QueryEscape(stranger.String()))}),
		"client_id is not the SPIFFE ID": invalidClient(badForm{body: plus("client_id=gateway")}),
		"actor_token":                    blaming("actor_token", badForm{body: plus("actor_token=" + subjectToken)}),
		"actor_token_type":               blaming("actor_token_type", badForm{body: plus("actor_token_type=" + trat.TokenTypeJWT)}),
		"resource": {
			body: plus("resource=https://other.test"), status: http.StatusBadRequest, oauth: "invalid_target",
			reason: trat.ReasonAudienceNotServed, fields: map[string]string{"resource": "AUDIENCE_NOT_SERVED"},
		},
	}
}

// numbered are n parameters that nobody knows.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&p" + strings.Repeat("x", i) + "=")
	}
	return b.String()
}

func (tc badForm) request(t *testing.T) *http.Request {
	t.Helper()
	body := encode(goodRequest())
	if tc.body != nil {
		body = tc.body(body)
	}
	request := newRequest(t, http.MethodPost, "/token", body)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if tc.change != nil {
		tc.change(request)
	}
	return request
}

// Covers TTS-12, SEC-03, ERR-01, ERR-03, TTS-35, TTS-42, PRIV-01.
func TestWhatIsNoFormOfOursIsRefused(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.serveHTTP(t), gateway)
	for name, tc := range badForms() {
		t.Run(name, func(t *testing.T) {
			answer := do(t, client, tc.request(t))
			if answer.status != tc.status || answer.body.Error != tc.oauth || answer.body.Reason != tc.reason {
				t.Errorf("status %d, %s", answer.status, answer.text)
			}
			want := tc.fields
			if want == nil {
				want = map[string]string{}
			}
			if diff := cmp.Diff(want, answer.fields()); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			if answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Www-Authenticate") != "" {
				t.Errorf("header %v", answer.header)
			}
			if strings.Contains(answer.text, "eyJ") || strings.Contains(answer.text, "secret") {
				t.Errorf("the answer says too much: %s", answer.text)
			}
			records := f.Records.Take()
			if len(records) != 1 || records[0].Reason != tc.reason || records[0].Requester != gateway.String() ||
				records[0].DecisionID == "" || records[0].Time.IsZero() {
				t.Errorf("audit records %+v", records)
			}
		})
	}
	if text := f.Logs.String(); strings.Contains(text, "eyJ") {
		t.Errorf("a token is in the log:\n%s", text)
	}
	if answer := post(t, client, encode(goodRequest())); answer.status != http.StatusOK {
		t.Errorf("a good request afterwards: %d, %s", answer.status, answer.text)
	}
}

// Covers TTS-12.
func TestWhatAFormMayHaveBesides(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.serveHTTP(t), gateway)
	for name, tc := range map[string]badForm{
		"unknown parameters":  {body: func(good string) string { return good + "&x=1&Scope=admin&req_wl=spiffe://shop.test/evil" }},
		"one without a value": {body: func(good string) string { return good + "&resource=&actor_token&client_secret=" }},
		"ampersands":          {body: func(good string) string { return "&&" + good + "&" }},
		"its own client_id":   {body: func(good string) string { return good + "&client_id=spiffe://shop.test/gateway" }},
		"the charset": {change: func(r *http.Request) {
			r.Header.Set("Content-Type", "Application/x-www-form-urlencoded; Charset=UTF-8")
		}},
		"identity encoding":            {change: func(r *http.Request) { r.Header.Set("Content-Encoding", "identity") }},
		"an Expect":                    {change: func(r *http.Request) { r.Header.Set("Expect", "100-continue") }},
		"an Upgrade that is not taken": {change: func(r *http.Request) { r.Header.Set("Upgrade", "h2c"); r.Header.Set("Connection", "Upgrade") }},
		"cookies and an Origin":        {change: func(r *http.Request) { r.Header.Set("Cookie", "a=b"); r.Header.Set("Origin", "https://evil.test") }},
	} {
		t.Run(name, func(t *testing.T) {
			answer := do(t, client, tc.request(t))
			if answer.status != http.StatusOK || answer.body.AccessToken == "" {
				t.Fatalf("status %d, %s", answer.status, answer.text)
			}
			token := f.VerifyWith(t, get(t, client, "/jwks").text, answer.body.AccessToken)
			if c := token.Claims(); c.RequestingWorkload != gateway.String() || c.Scope.String() != "order.create" {
				t.Errorf("claims %+v", c)
			}
			if answer.header.Get("Access-Control-Allow-Origin") != "" || answer.header.Get("Vary") != "" {
				t.Errorf("header %v", answer.header)
			}
		})
	}
}

// Covers ERR-03, SEC-03, TTS-17.
func TestWhoIsNotAuthenticatedLearnsNothingAboutTheForm(t *testing.T) {
	t.Run("no connection of ours", func(t *testing.T) {
		f := newFixture(t)
		h := f.handler(t)
		for name, tc := range badForms() {
			recorder := httptest.NewRecorder()
			h.ServeHTTP(recorder, tc.request(t))
			answer := read(t, recorder.Result())
			if answer.status != http.StatusUnauthorized || answer.body.Error != "invalid_client" ||
				answer.body.Reason != trat.ReasonClientUnauthenticated || len(answer.body.Parameters) != 0 {
				t.Errorf("%s: status %d, %s", name, answer.status, answer.text)
			}
			if r := f.Records.Take(); len(r) != 1 || r[0].Requester != "" || r[0].Reason != trat.ReasonClientUnauthenticated {
				t.Errorf("%s: audit records %+v", name, r)
			}
		}
	})
	t.Run("an expired SVID", func(t *testing.T) {
		f := newFixture(t)
		client := f.client(t, f.serveHTTP(t), gateway)
		if answer := get(t, client, "/jwks"); answer.status != http.StatusOK {
			t.Fatal(answer.text)
		}
		f.Clock.Advance(devauthority.DefaultSVIDLifetime + time.Second)
		answer := post(t, client, "scope=a&scope=b")
		if answer.status != http.StatusUnauthorized || answer.body.Reason != trat.ReasonPeerSVIDExpired || len(answer.body.Parameters) != 0 {
			t.Errorf("status %d, %s", answer.status, answer.text)
		}
		if r := f.Records.Take(); len(r) != 1 || r[0].Requester != gateway.String() || r[0].Reason != trat.ReasonPeerSVIDExpired {
			t.Errorf("audit records %+v", r)
		}
	})
}

// Covers ERR-09, TTS-42.
func TestFloodOfBadFormsIsLimited(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.RequestsPerSecond, c.Burst = 1, 3 })
	client := f.client(t, f.serveHTTP(t), gateway)
	flood := []trat.Reason{
		trat.ReasonParameterInvalid, trat.ReasonParameterInvalid, trat.ReasonParameterInvalid,
		trat.ReasonRateLimited, trat.ReasonRateLimited,
	}
	for i, want := range flood {
		answer := post(t, client, "scope=a&scope=b")
		if answer.body.Reason != want {
			t.Fatalf("form %d: %s", i, answer.text)
		}
		if want == trat.ReasonRateLimited && (answer.status != http.StatusTooManyRequests || answer.body.Error != "slow_down" ||
			answer.header.Get("Retry-After") == "" || len(answer.fields()) != 0) {
			t.Errorf("status %d, header %v, %s", answer.status, answer.header, answer.text)
		}
		if i == len(flood)-1 { // of refusals for a limit, one a second is recorded
			if r := f.Records.Take(); len(r) != 0 {
				t.Errorf("audit records %+v", r)
			}
		} else if r := f.Records.Take(); len(r) != 1 || r[0].Reason != want || r[0].Requester != gateway.String() {
			t.Errorf("audit records %+v", r)
		}
	}
	// One limit for both forms: what the bad forms took is gone for Exchange too.
	if answer := post(t, client, encode(goodRequest())); answer.body.Reason != trat.ReasonRateLimited {
		t.Errorf("a good form: %s", answer.text)
	}
	if answer := post(t, f.client(t, f.serveHTTP(t), stranger), "scope=a&scope=b"); answer.body.Reason != trat.ReasonParameterInvalid {
		t.Errorf("another workload: %s", answer.text)
	}
	if sum := f.sum(t, "txn_token.issuances"); sum != 7 {
		t.Errorf("txn_token.issuances is %d, want 7", sum)
	}
	f.Clock.Advance(time.Second)
	if answer := post(t, client, encode(goodRequest())); answer.status != http.StatusOK {
		t.Errorf("a second later: %s", answer.text)
	}
}

// Covers TTS-42.
func TestFailingAuditOfARefusedFormIsSaid(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error": func() error { return errors.New("disk full") },
		"a panic":  func() error { panic("disk full") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.Records.Fail = fail
			answer := post(t, f.client(t, f.serveHTTP(t), gateway), "scope=a&scope=b")
			if answer.body.Reason != trat.ReasonParameterInvalid {
				t.Errorf("status %d, %s", answer.status, answer.text)
			}
			if !strings.Contains(f.Logs.String(), "audit record not written") {
				t.Errorf("log:\n%s", f.Logs)
			}
			if sum := f.sum(t, "txn_token.audit.failures"); sum != 1 {
				t.Errorf("txn_token.audit.failures is %d", sum)
			}
		})
	}
}
