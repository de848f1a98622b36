package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers PRIV-03.
func TestSubjectHasAPseudonymThatReplicasShareForAPeriod(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	of := func(f *fixture) [2]string {
		t.Helper()
		request := goodRequest()
		request.RequestId = ""
		f.exchange(t, f.as(t, gateway), request)
		r := f.Records.Take()[0]
		return [2]string{r.SubjectPseudonym, r.SubjectPseudonymKey}
	}
	shared := func(c *server.Config) { c.PseudonymKey, c.PseudonymPeriod = key, time.Hour }
	a, b := newFixture(t, shared), newFixture(t, shared)
	first := of(a)
	if first[0] == "" || of(b) != first {
		t.Errorf("replicas disagree about %q", first)
	}
	key[0]++ // a Server has a key of its own
	if of(a) != first {
		t.Error("the key is the caller's")
	}
	a.Clock.Advance(time.Hour)
	if next := of(a); next[0] == first[0] || next[1] == first[1] {
		t.Errorf("%q after %q", next, first)
	}
}

// A workload that chooses what gets a pseudonym in its token could otherwise find out whom
// the audit log is about.
//
// Covers PRIV-03.
func TestPseudonymsInTokensSayNothingAboutThoseInTheAuditLog(t *testing.T) {
	f := newFixture(t)
	request := deskRequest("desk.note")
	request.RequestDetails = `{"note": "login:alice@example.test"}`
	token := f.verify(t, f.exchange(t, f.as(t, desk), request).GetAccessToken())
	about, _ := token.RequestContext().Text("about")
	if audited := f.Records.Take()[0].SubjectPseudonym; about == "" || about == audited {
		t.Errorf("the pseudonym in the token is %q, that in the audit log %q", about, audited)
	}
}

// Covers PRIV-03, TTS-39.
func TestPersonalMembersAreReplacedAndThoseThatCannotBeBuiltLeftOut(t *testing.T) {
	f := newFixture(t)
	exchange := func(details string) string {
		t.Helper()
		request := deskRequest("desk.read")
		request.RequestDetails = details
		token := f.verify(t, f.exchange(t, f.as(t, desk), request).GetAccessToken())
		user, _ := token.RequestContext().Text("user")
		return user + " " + token.TransactionContext().JSON()
	}
	built, left := exchange(`{"total": 300, "heads": 4}`), exchange(`{"total": 300, "heads": 0}`)
	list := f.Records.Take()
	if got := list[0].DroppedMembers; len(got) != 0 {
		t.Errorf("dropped %q", got)
	}
	if diff := cmp.Diff([]string{"tctx.per_head"}, list[1].DroppedMembers); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	user := built[:22]
	if built != user+` {"per_head":75}` || left != user+` {}` || contains(user, "alice") {
		t.Errorf("contexts %q and %q", built, left)
	}
	if diff := cmp.Diff(map[string]int64{`{"txn_token.dropped_member":"tctx.per_head"}`: 1}, f.counts(t, "txn_token.members.dropped")); diff != "" {
		t.Errorf("txn_token.members.dropped (-want +got):\n%s", diff)
	}
}

// Every sink is looked at, for issued, replaced, repeated and refused tokens.
//
// Covers PRIV-01, PRIV-03.
func TestNoSinkHasTheSubjectOrAToken(t *testing.T) {
	var audit servertest.Buffer
	f := newFixture(t, func(c *server.Config) {
		c.Auditor = auditlog.NewLog(slog.New(slog.NewJSONHandler(&audit, nil)))
	})
	address := f.serve(t)
	sinks := map[string]string{}
	front, back, office := f.dial(t, address, gateway), f.dial(t, address, tax), f.dial(t, address, desk)
	first, err := front.Exchange(t.Context(), goodRequest())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := front.Exchange(t.Context(), goodRequest()); err != nil {
		t.Fatal(err)
	}
	if _, err := back.Exchange(t.Context(), f.Replace(t, first.GetAccessToken(), tax)); err != nil {
		t.Fatal(err)
	}
	if _, err := office.Exchange(t.Context(), deskRequest("desk.read")); err != nil {
		t.Fatal(err)
	}
	denied := goodRequest()
	denied.RequestId, denied.Scope = "", "order.delete"
	if _, err := front.Exchange(t.Context(), denied); err == nil {
		t.Fatal("no error")
	} else {
		sinks["status"] = err.Error()
	}
	f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) { panic(servertest.Alice(in)) }
	denied.Scope = "order.create"
	if _, err := front.Exchange(t.Context(), denied); err == nil {
		t.Fatal("no error")
	}

	spans, err := json.Marshal(f.endedSpans(6))
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := json.Marshal(f.collect(t))
	if err != nil {
		t.Fatal(err)
	}
	sinks["spans"], sinks["metrics"], sinks["log"], sinks["audit log"] = string(spans), string(metrics), f.Logs.String(), audit.String()
	for sink, text := range sinks {
		if text == "" {
			t.Errorf("nothing in the %s", sink)
		}
		for _, secret := range []string{"eyJ", "alice", "192.0.2.1", "9007199254740993"} {
			if contains(text, secret) {
				t.Errorf("%q is in the %s:\n%s", secret, sink, text)
			}
		}
	}
}

// A caller that makes its request ids of the token would have it in every log.
//
// Covers PRIV-01.
func TestRequestIDIsNoPartOfTheSubjectToken(t *testing.T) {
	const opaque = "opaque-0123456789-abcdefghijklmnop"
	for name, tc := range map[string]struct{ token, id string }{
		"an opaque token":     {opaque, opaque},
		"one with more to it": {opaque, "retry-of-" + opaque},
		"a signature":         {subjectToken, subjectToken[strings.LastIndexByte(subjectToken, '.')+1:]},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			request := goodRequest()
			request.SubjectToken, request.RequestId = tc.token, tc.id
			_, err := f.Server.Exchange(f.as(t, gateway), request)
			wantReason(t, err, trat.ReasonParameterInvalid)
			if diff := cmp.Diff(map[string]string{"request_id": "PARAMETER_INVALID"}, violatedFields(err)); diff != "" {
				t.Errorf("field violations (-want +got):\n%s", diff)
			}
			if r := f.Records.Take()[0]; r.RequestID != "" || contains(f.Logs.String(), tc.id) {
				t.Errorf("record %+v, log\n%s", r, f.Logs.String())
			}
		})
	}
}

// Covers TTS-40.
func TestSizeAlarmIsCounted(t *testing.T) {
	f := newFixture(t)
	f.exchange(t, f.as(t, gateway), goodRequest())
	request := goodRequest()
	request.RequestId, request.RequestDetails = "req-2", `{"order_id": 1, "note": "`+strings.Repeat("x", 2200)+`"}`
	f.exchange(t, f.as(t, gateway), request)
	f.exchange(t, f.as(t, gateway), request) // repeated: it was counted
	if got := f.counter(t, "txn_token.token.size.alarms"); got != 1 {
		t.Errorf("%d alarms, want 1", got)
	}
	if !contains(f.Logs.String(), `"event.name":"txn_token.size.alarm"`) {
		t.Error("no event")
	}
}
