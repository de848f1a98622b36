package interceptors_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// decisionFunc is a decision point in the process.
type decisionFunc func(context.Context, authzen.Request) (bool, error)

func (f decisionFunc) Evaluate(ctx context.Context, r authzen.Request) (bool, error) {
	return f(ctx, r)
}

// A decision point that sets no bound of its own is waited for no longer than the TraT is
// good, and an answer beside an error is none.
func TestADecisionPointIsHeldToItsContract(t *testing.T) {
	d := trattest.New(t, domainName)
	var deadline time.Time
	answer := errors.New("no")
	g := guard(t, d, eachMethod(evaluated()), interceptors.WithDecisionPoint(decisionFunc(func(ctx context.Context, _ authzen.Request) (bool, error) {
		deadline, _ = ctx.Deadline()
		return true, answer
	})))
	svc := &backend{}
	client := dialRaw(t, d, serveGuarded(t, d, g, svc))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	before := time.Now()
	wantRefusal(t, callUnary(withToken(ctx, d.Raw(trattest.Lifetime(30*time.Second))), client), trat.ReasonPolicyUnavailable)
	if wait := deadline.Sub(before); wait < 30*time.Second || wait > time.Minute {
		t.Errorf("would wait for %s, the TraT is good for 30s and the leeway", wait)
	}
	if svc.ran.Load() != 0 {
		t.Error("the handler ran")
	}
}

// What anything else refuses is not asked about, nor is what no rule asks about.
func TestAPDPIsAskedLast(t *testing.T) {
	d := trattest.New(t, domainName)
	asked := 0
	count := interceptors.WithDecisionPoint(decisionFunc(func(context.Context, authzen.Request) (bool, error) { asked++; return true, nil }))
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, interceptors.Rules{
		wholeService:    evaluated(),
		unaryMethod:     evaluated().Check(deny),
		clientStreaming: interceptors.Exempt("the test says so"),
		serverStreaming: interceptors.Require("test"),
	}, count), &backend{}))
	wantRefusal(t, callUnary(withToken(callContext(t), d.Raw()), client), trat.ReasonPolicyDenied)
	wantRefusal(t, callBidi(withToken(callContext(t), d.Raw(trattest.Scope("other"))), client), trat.ReasonInsufficientScope)
	wantRefusal(t, callBidi(callContext(t), client), trat.ReasonTxnTokenMissing)
	for _, call := range []kind{kinds()[1], kinds()[2]} {
		if err := call.call(withToken(callContext(t), d.Raw()), client); err != nil {
			t.Errorf("%s: %v", call.name, err)
		}
	}
	if asked != 0 {
		t.Errorf("asked %d times", asked)
	}
}

// Covers VER-19, VER-21.
func TestAPDPIsAskedInEveryMode(t *testing.T) {
	d := trattest.New(t, domainName)
	p := startPDP(t, says(http.StatusOK, `{"decision": false}`))
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			svc, s := &backend{}, newSinks()
			g := guard(t, d, eachMethod(evaluated()), p.option(t, callTimeout), inMode(mode), interceptors.WithMeterProvider(s.meters))
			client := dialRaw(t, d, serveGuarded(t, d, g, svc))
			asked := len(p.asked())
			err := callUnary(withToken(callContext(t), d.Raw()), client)
			if n := len(p.asked()) - asked; n != 1 {
				t.Errorf("asked %d times", n)
			}
			result := "would_deny"
			if mode == interceptors.EnforceStrict {
				result = "denied"
				wantRefusal(t, err, trat.ReasonPolicyDenied)
			} else if err != nil || svc.ran.Load() != 1 {
				t.Errorf("error %v", err)
			}
			want := []string{"error.type=POLICY_DENIED,rpc.method=grpc.testing.TestService/UnaryCall,txn_token.mode=" + mode.String() + ",txn_token.result=" + result + " 1"}
			if diff := cmp.Diff(want, s.points(t, "txn_token.server.verifications")); diff != "" {
				t.Errorf("verifications (-want +got):\n%s", diff)
			}
			// Without a TraT there is nothing to ask about.
			_ = callUnary(callContext(t), client)
			if n := len(p.asked()) - asked; n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestEvaluationsUnderWayAreBounded(t *testing.T) {
	d := trattest.New(t, domainName)
	began, answer := make(chan struct{}), make(chan struct{})
	g := guard(t, d, eachMethod(evaluated()), interceptors.WithEvaluationLimit(3),
		interceptors.WithDecisionPoint(decisionFunc(func(ctx context.Context, _ authzen.Request) (bool, error) {
			began <- struct{}{}
			select {
			case <-answer:
				return true, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		})))
	addr := serveGuarded(t, d, g, &backend{})
	gateway, billing := dialRaw(t, d, addr), dialAs(t, d, "billing", addr)
	results := make(chan error, 3)
	go func() { results <- callUnary(withToken(callContext(t), d.Raw()), gateway) }()
	await(t, began)
	go func() { results <- callUnary(withToken(callContext(t), d.Raw()), gateway) }()
	await(t, began)
	// One workload gets no more than are left, at once and without waiting.
	wantRefusal(t, callUnary(withToken(callContext(t), d.Raw()), gateway), trat.ReasonPolicyUnavailable)
	go func() {
		results <- callUnary(withToken(callContext(t), d.Raw(trattest.Requester(d.ID("billing").String()))), billing)
	}()
	await(t, began)
	close(answer)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	go func() { <-began }()
	if err := callUnary(withToken(callContext(t), d.Raw()), gateway); err != nil {
		t.Errorf("when all have their answers: %v", err)
	}
}

func TestWaitingForAPDPIsSeen(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	answers := map[string]string{"alice": `{"decision": true}`, "mallory": `{"decision": false}`, "nobody": `{}`}
	p := startPDP(t, nil)
	p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question struct{ Subject struct{ ID string } }
		if err := json.NewDecoder(r.Body).Decode(&question); err != nil {
			t.Error(err)
		}
		says(http.StatusOK, answers[question.Subject.ID])(w, r)
	})
	g := guard(t, d, eachMethod(evaluated()), p.option(t, callTimeout), interceptors.WithMeterProvider(s.meters))
	client := dialRaw(t, d, serveGuarded(t, d, g, &backend{}, s.serverOption()))
	for i, tc := range []struct {
		subject string
		want    map[string]any
	}{
		{"alice", map[string]any{"txn_token.result": "ok", "txn_token.mode": "strict"}},
		{"mallory", map[string]any{"txn_token.result": "denied", "txn_token.mode": "strict", "error.type": "POLICY_DENIED"}},
		{"nobody", map[string]any{"txn_token.result": "error", "txn_token.mode": "strict", "error.type": "POLICY_UNAVAILABLE"}},
	} {
		_ = callUnary(withToken(callContext(t), d.Raw(trattest.Subject(tc.subject))), client)
		if diff := cmp.Diff(tc.want, s.last(t, i+1, trace.SpanKindInternal)); diff != "" {
			t.Errorf("%s: attributes of the span (-want +got):\n%s", tc.subject, diff)
		}
	}
	s.last(t, 3, trace.SpanKindServer)
	servers := make(map[trace.SpanID]bool)
	for _, span := range s.spans.Ended() {
		if span.SpanKind() == trace.SpanKindServer {
			servers[span.SpanContext().SpanID()] = true
		}
	}
	for _, span := range s.spans.Ended() {
		if span.SpanKind() == trace.SpanKindInternal && (span.Name() != "txn_token.verify" || !servers[span.Parent().SpanID()]) {
			t.Errorf("span %s is not below the server's", span.Name())
		}
	}
	want := []string{"txn_token.result=denied 1", "txn_token.result=error 1", "txn_token.result=ok 1"}
	if diff := cmp.Diff(want, s.points(t, "txn_token.server.evaluation.duration")); diff != "" {
		t.Errorf("evaluations (-want +got):\n%s", diff)
	}
}

func TestOptionsOfDecisionPointsAreChecked(t *testing.T) {
	d := trattest.New(t, domainName)
	_, err := interceptors.NewServer(serverConfig(d), interceptors.Rules{}, interceptors.WithDecisionPoint(nil), interceptors.WithEvaluationLimit(0))
	for _, want := range []string{"WithDecisionPoint: nil decision point", "WithEvaluationLimit: 0 is below 1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// A yes that comes when the time is up is none, also from a decision point that does not look
// at its context: by then the TraT may have expired.
//
// Covers VER-19.
func TestAYesThatComesTooLateIsNone(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	g := guard(t, d, eachMethod(evaluated()), interceptors.WithDecisionPoint(decisionFunc(func(ctx context.Context, _ authzen.Request) (bool, error) {
		<-ctx.Done()
		return true, nil
	})))
	client := dialRaw(t, d, serveGuarded(t, d, g, svc))
	raw := d.Raw(trattest.Lifetime(30 * time.Second))
	d.Advance(30*time.Second + d.Verifier().Leeway() - 50*time.Millisecond)
	for _, k := range kinds() {
		wantRefusal(t, k.call(withToken(callContext(t), raw), client), trat.ReasonPolicyUnavailable)
	}
	if ran := svc.ran.Load(); ran != 0 {
		t.Errorf("%d handlers ran", ran)
	}
}
