package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-42, PRIV-02, PRIV-03.
func TestIssuedTokenLeavesOneRecord(t *testing.T) {
	f := newFixture(t)
	ctx := f.as(t, gateway)
	response, err := f.Server.Exchange(ctx, goodRequest())
	if err != nil {
		t.Fatal(err)
	}
	token := f.verify(t, response.GetAccessToken())
	list := f.Records.Take()
	if len(list) != 1 {
		t.Fatalf("%d records, want 1", len(list))
	}
	got := list[0]
	pseudonym, id := got.SubjectPseudonym, got.DecisionID
	if !strings.HasSuffix(got.SubjectPseudonymKey, ".20261122T000000Z") || len(got.SubjectPseudonymKey) != 25 {
		t.Errorf("pseudonym key %q", got.SubjectPseudonymKey)
	}
	got.SubjectPseudonym, got.SubjectPseudonymKey, got.DecisionID = "", "", ""
	want := server.Record{
		Time:             f.Clock.Now(),
		Requester:        "spiffe://shop.test/gateway",
		SubjectTokenType: "urn:ietf:params:oauth:token-type:access_token",
		SubjectIssuer:    "https://login.test",
		TransactionID:    token.TransactionID(),
		Fingerprint:      token.Fingerprint(),
		TokenSize:        token.Size(),
		Scope:            "order.create",
		IssuedAt:         f.Clock.Now(),
		Expiry:           f.Clock.Now().Add(15 * time.Second),
		Rule:             "gateway-orders",
		PolicyVersion:    f.Policy().Version(),
		RequestID:        "req-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if len(pseudonym) != 22 || contains(pseudonym, "alice") {
		t.Errorf("pseudonym %q", pseudonym)
	}

	another := goodRequest()
	another.RequestId = "req-2"
	if _, err := f.Server.Exchange(ctx, another); err != nil {
		t.Fatal(err)
	}
	again := f.Records.Take()[0]
	if again.SubjectPseudonym != pseudonym {
		t.Errorf("pseudonym %q, before %q", again.SubjectPseudonym, pseudonym)
	}
	if len(id) != 16 || again.DecisionID == id {
		t.Errorf("decisions %q and %q, want two ids", id, again.DecisionID)
	}
	other := newFixture(t)
	if _, err := other.Server.Exchange(other.as(t, gateway), goodRequest()); err != nil {
		t.Fatal(err)
	}
	if elsewhere := other.Records.Take()[0].SubjectPseudonym; elsewhere == pseudonym {
		t.Error("two processes use one pseudonym key")
	}
}

// Covers TTS-42.
func TestFailingAuditorIsCountedAndTheRequestServed(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("disk full") },
		"panic": func() error { panic("disk full") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.Records.Fail = fail
			if _, err := f.Server.Exchange(f.as(t, gateway), goodRequest()); err != nil {
				t.Fatal(err)
			}
			if got := f.counter(t, "txn_token.audit.failures"); got != 1 {
				t.Errorf("%d failures counted, want 1", got)
			}
			if !contains(f.Logs.String(), "audit record not written") {
				t.Error("the log does not say so")
			}
		})
	}
}

// Covers TTS-42.
func TestCauseAndRecordOfARefusalHaveOneID(t *testing.T) {
	var audit servertest.Buffer
	f := newFixture(t, func(c *server.Config) {
		c.Auditor = auditlog.NewLog(slog.New(slog.NewJSONHandler(&audit, nil)))
	})
	request := goodRequest()
	request.Scope, request.RequestId = "order.delete", ""
	for range 2 { // equal requests, and yet two decisions
		_, err := f.Server.Exchange(f.as(t, gateway), request)
		wantReason(t, err, trat.ReasonScopeExceeded)
	}
	ids := func(text string) (found []string) {
		for line := range strings.Lines(text) {
			var record struct {
				ID string `json:"txn_token.decision_id"`
			}
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			found = append(found, record.ID)
		}
		return found
	}
	causes, decisions := ids(f.Logs.String()), ids(audit.String())
	if diff := cmp.Diff(decisions, causes); diff != "" || len(causes) != 2 || causes[0] == "" || causes[0] == causes[1] {
		t.Errorf("a refusal is one record and one cause with its id; records %q, causes %q", decisions, causes)
	}
}

// contextual is an Auditor that gives up with its context, as one does that sends its
// records elsewhere.
type contextual struct{ servertest.Records }

func (c *contextual) Record(ctx context.Context, r server.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.Records.Record(ctx, r)
}

// Covers TTS-42.
func TestCallerCannotAvoidTheRecordByHangingUp(t *testing.T) {
	auditor := &contextual{}
	f := newFixture(t, func(c *server.Config) { c.Auditor = auditor })
	ctx, cancel := context.WithCancel(f.as(t, gateway))
	f.Access.Func = func(context.Context, subject.Input) (*subject.Principal, error) {
		cancel()
		return nil, trat.Errorf(trat.ReasonSubjectTokenInvalid, "aud", "")
	}
	_, err := f.Server.Exchange(ctx, goodRequest())
	wantReason(t, err, trat.ReasonSubjectTokenInvalid)
	if list := auditor.Take(); len(list) != 1 || list[0].Reason != trat.ReasonSubjectTokenInvalid {
		t.Errorf("audit records %+v, want one", list)
	}
}

// Covers TTS-42, PRIV-07.
func TestRecordOfARefusalHasTheRuleAndTheNamesOfParameters(t *testing.T) {
	f := newFixture(t)
	first := f.exchange(t, f.as(t, gateway), goodRequest()).GetAccessToken()
	taxed := f.Replace(t, first, tax)
	taxed.RequestDetails = `{"tax": 19}`
	second := f.exchange(t, f.as(t, tax), taxed).GetAccessToken()
	for name, tc := range map[string]struct {
		as         spiffeid.ID
		change     func(*tratv1.ExchangeRequest)
		reason     trat.Reason
		rule       string
		parameters []string
		cause      string
	}{
		"a detail is missing": {
			gateway, func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"total":73317331733}` },
			trat.ReasonParameterMissing, "gateway-orders",
			[]string{"request_details.order_id"},
			"",
		},
		"members of another type": {
			gateway, func(r *tratv1.ExchangeRequest) {
				r.RequestDetails, r.RequestContext = `{"order_id":1,"tax":"73317331733"}`, `{"authn":73317331733}`
			},
			trat.ReasonParameterInvalid, "gateway-orders",
			[]string{"request_context.authn", "request_details.tax"},
			"",
		},
		"a member would change": {
			tax, func(r *tratv1.ExchangeRequest) {
				proto.Reset(r)
				proto.Merge(r, f.Replace(t, second, tax))
				r.RequestDetails = `{"tax":73317331733}`
			},
			trat.ReasonReplacementDenied, "tax", nil, "tctx.tax",
		},
		"no rule was selected": {
			gateway, func(r *tratv1.ExchangeRequest) { r.Scope = "order.delete" },
			trat.ReasonScopeExceeded, "", nil, "",
		},
		"a parameter before any rule": {
			gateway, func(r *tratv1.ExchangeRequest) { r.Scope = "73317331733  73317331733" },
			trat.ReasonScopeMalformed, "",
			[]string{"scope"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.Records.Take()
			logged := len(f.Logs.String())
			request := goodRequest()
			request.RequestId = ""
			tc.change(request)
			_, err := f.Server.Exchange(f.as(t, tc.as), request)
			wantReason(t, err, tc.reason)
			record := f.Records.Take()[0]
			if record.Rule != tc.rule {
				t.Errorf("rule %q, want %q", record.Rule, tc.rule)
			}
			if diff := cmp.Diff(tc.parameters, record.Parameters); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			text := f.Logs.String()[logged:]
			if !contains(text, "exchange refused") || !contains(text, tc.cause) || contains(text, "73317331733") {
				t.Errorf("log\n%s", text)
			}
			if contains(text, "txn_token.request_id") {
				t.Errorf("the log has a request id, and the request none:\n%s", text)
			}
		})
	}
}

func TestLogOfARefusalHasTheRequestID(t *testing.T) {
	f := newFixture(t)
	request := goodRequest()
	request.Scope = "order.delete"
	_, err := f.Server.Exchange(f.as(t, gateway), request)
	wantReason(t, err, trat.ReasonScopeExceeded)
	if text := f.Logs.String(); !contains(text, `"txn_token.request_id":"req-1"`) {
		t.Errorf("log\n%s", text)
	}
}
