package interceptors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/trace"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func modes() []interceptors.Enforcement {
	return []interceptors.Enforcement{interceptors.EnforceStrict, interceptors.EnforcePresence, interceptors.EnforceShadow}
}

// inMode guards the whole test service in a mode.
func inMode(mode interceptors.Enforcement) interceptors.ServerOption {
	return interceptors.UnsafeEnforcement(wholeService, mode, "the test says so")
}

// ladderCase is a call that breaks one layer of the rule.
type ladderCase struct {
	name   string
	caller string // "": gateway
	send   func(ctx context.Context, method string) context.Context
	reason trat.Reason
	// token and chain say what the handler has if the call is let through, served in which
	// modes it is.
	token, chain bool
	served       []interceptors.Enforcement
	handlerRuns  bool // in strict mode too, for the failure is a message's
}

func ladderCases(d *trattest.Domain) []ladderCase {
	values := func(values ...string) func(context.Context, string) context.Context {
		return func(ctx context.Context, _ string) context.Context { return withToken(ctx, values...) }
	}
	shadow := modes()[2:]
	lax := modes()[1:]
	return []ladderCase{
		{name: "nothing wrong", send: values(d.Raw()), token: true, chain: true, served: modes()},
		{name: "no token", send: values(), reason: trat.ReasonTxnTokenMissing, served: shadow},
		{name: "two tokens", send: values(d.Raw(), d.Raw()), reason: trat.ReasonTxnTokenMalformed, served: shadow},
		{name: "forged token", send: values(d.Broken(trattest.Forged)), reason: trat.ReasonTxnTokenInvalid, served: shadow},
		{name: "expired token", send: values(d.Broken(trattest.Expired)), reason: trat.ReasonTxnTokenExpired, served: shadow},
		{name: "caller", caller: "billing", send: values(d.Raw(trattest.Requester(d.ID("billing").String()))), reason: trat.ReasonPeerDenied, token: true, chain: true, served: lax},
		{name: "scope", send: values(d.Raw(trattest.Scope("other"))), reason: trat.ReasonInsufficientScope, token: true, chain: true, served: lax},
		{name: "no chain", send: func(ctx context.Context, _ string) context.Context {
			return withChain(ctx, d.Token(), "")
		}, reason: trat.ReasonChainMissing, token: true, served: lax},
		{name: "chain of another call", send: func(ctx context.Context, method string) context.Context {
			token := d.Token()
			return withChain(ctx, token, d.RawChain(token, []string{"gateway"}, "stocks", method))
		}, reason: trat.ReasonChainLinkInvalid, token: true, served: lax},
		{name: "chain too long for the rule", send: func(ctx context.Context, method string) context.Context {
			token := d.Token(trattest.Requester(d.ID("edge").String()))
			return withChain(ctx, token, d.RawChain(token, []string{"edge", "stocks", "gateway"}, "orders", method))
		}, reason: trat.ReasonChainTooDeep, token: true, chain: true, served: lax},
		{name: "condition", send: values(d.Raw(trattest.Subject("nobody"))), reason: trat.ReasonPolicyDenied, token: true, chain: true, served: lax},
		{name: "check", send: values(d.Raw(trattest.TransactionID("txn-denied"))), reason: trat.ReasonPolicyDenied, token: true, chain: true, served: lax, handlerRuns: true},
	}
}

// ladderRule is broken by each of ladderCases.
func ladderRule(d *trattest.Domain) interceptors.Rule {
	check := func(_ context.Context, token *trat.Token, _ any) error {
		if token == nil || token.TransactionID() == "txn-denied" {
			return errors.New("denied by the test")
		}
		return nil
	}
	return interceptors.Require("test").FromCallers(spiffeid.MatchID(d.ID("gateway"))).MaxLinks(2).
		When("sub != 'nobody'").Check(check).CheckMessage(check)
}

// Every kind of call that breaks any layer of its rule, in every mode: what is let through,
// with what in the handler's context, and what is reported.
//
// Covers VER-21, VER-26, VER-01.
func TestTheEnforcementLadder(t *testing.T) {
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			d := trattest.New(t, domainName)
			type seen struct{ token, chain bool }
			var got []seen
			svc := &backend{handle: func(ctx context.Context) error {
				_, token := trat.FromContext(ctx)
				_, chain := callchain.FromContext(ctx)
				got = append(got, seen{token, chain})
				return nil
			}}
			s := newSinks()
			g := guard(t, d, interceptors.Rules{wholeService: ladderRule(d)}, inMode(mode),
				interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters), interceptors.WithFailureLimit(1e6, 1e6))
			addr := serveGuarded(t, d, g, svc)
			for _, tc := range ladderCases(d) {
				caller := tc.caller
				if caller == "" {
					caller = "gateway"
				}
				client := dialAs(t, d, caller, addr)
				for _, k := range kinds() {
					got = nil
					before := s.points(t, "txn_token.server.verifications")
					err := k.call(tc.send(callContext(t), k.method), client)
					served := slices.Contains(tc.served, mode)
					switch {
					case !served:
						wantRefusal(t, err, tc.reason)
						if len(got) != 0 && !(tc.handlerRuns && k.stream) {
							t.Errorf("%s/%s: the handler of a refused call ran", tc.name, k.name)
						}
					case err != nil:
						t.Errorf("%s/%s: %v", tc.name, k.name, err)
					case len(got) != 1 || got[0] != seen{tc.token, tc.chain}:
						t.Errorf("%s/%s: the handler saw %v, want token %v, chain %v", tc.name, k.name, got, tc.token, tc.chain)
					}
					want := fmt.Sprintf("rpc.method=%s,txn_token.mode=%s,txn_token.result=ok", strings.TrimPrefix(k.method, "/"), mode)
					if tc.reason != "" {
						result := "denied"
						if served {
							result = "would_deny"
						}
						want = fmt.Sprintf("error.type=%s,rpc.method=%s,txn_token.mode=%s,txn_token.result=%s", tc.reason, strings.TrimPrefix(k.method, "/"), mode, result)
					}
					if counted := more(before, s.points(t, "txn_token.server.verifications")); !slices.Contains(counted, want) {
						t.Errorf("%s/%s: counted %v, want %s", tc.name, k.name, counted, want)
					}
				}
			}
			if leaked := s.log.String(); strings.Contains(leaked, "eyJ") {
				t.Error("a token is in the log")
			}
		})
	}
}

// more returns the attributes of the points that have grown.
func more(before, after []string) []string {
	var grown []string
	for _, point := range after {
		if !slices.Contains(before, point) {
			grown = append(grown, point[:strings.LastIndexByte(point, ' ')])
		}
	}
	return grown
}

// Who calls is settled in every mode: what another trust domain, an expired certificate, no
// certificate or a method without a rule is refused for, no mode lets through.
//
// Covers VER-21, VER-13, VER-14.
func TestNoModeLetsAStrangerThrough(t *testing.T) {
	d, foreign := trattest.New(t, domainName), trattest.New(t, "partner.test")
	inForce := []trat.Reason{
		trat.ReasonCoverageUnchecked, trat.ReasonClientUnauthenticated, trat.ReasonPeerSVIDExpired, trat.ReasonPeerDenied, trat.ReasonPolicyDenied,
	}
	for _, name := range []string{"coverage not checked", "plaintext listener", "peer's certificate expired", "federated peer", "no rule"} {
		for _, tc := range refusalCases(t, d, foreign) {
			if tc.name != name {
				continue
			}
			t.Run(name, func(t *testing.T) {
				if !slices.Contains(inForce, tc.reason) {
					t.Fatalf("reason %s", tc.reason)
				}
				if !tc.unregistered {
					tc.opts = append(tc.opts, inMode(interceptors.EnforceShadow))
				}
				svc, client := tc.start(t, d)
				d.Advance(tc.later)
				defer d.Advance(-tc.later)
				for _, k := range kinds() {
					wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), client), tc.reason)
				}
				if ran := svc.ran.Load(); ran != 0 {
					t.Errorf("%d handlers ran", ran)
				}
			})
		}
	}
}

// Keys that are out of reach are a failure of the token: in shadow mode the handler runs
// without one.
//
// Covers VER-21.
func TestShadowModeServesWithoutKeys(t *testing.T) {
	d := trattest.New(t, domainName)
	for _, mode := range modes() {
		for _, tc := range refusalCases(t, d, d) {
			if tc.name != "no keys" {
				continue
			}
			tc.opts = append(tc.opts, inMode(mode))
			svc, client := tc.start(t, d)
			svc.handle = func(ctx context.Context) error {
				noToken(t)(ctx)
				return nil
			}
			for _, k := range kinds() {
				err := k.call(withToken(callContext(t), d.Raw()), client)
				if mode != interceptors.EnforceShadow {
					wantRefusal(t, err, trat.ReasonKeysUnavailable)
				} else if err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
		}
	}
}

// A TraT that was not verified goes nowhere: the carrier has nothing to send, whatever the
// caller sent.
//
// Covers VER-21, VER-26, PROP-09.
func TestABadTokenIsNotPassedOn(t *testing.T) {
	d := trattest.New(t, domainName)
	inner := &backend{}
	addr := serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope(), inMode(interceptors.EnforceShadow)), inner)
	next := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders"))
	var outcomes []error
	svc := &backend{handle: func(ctx context.Context) error {
		outcomes = append(outcomes, callUnary(ctx, next))
		return nil
	}}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope(), inMode(interceptors.EnforceShadow)), svc))
	for _, bad := range [][]string{nil, {d.Broken(trattest.Forged)}, {d.Broken(trattest.Expired)}, {d.Raw(), d.Raw()}} {
		for _, k := range kinds() {
			outcomes = nil
			if err := k.call(withToken(callContext(t), bad...), client); err != nil {
				t.Fatal(err)
			}
			if len(outcomes) != 1 {
				t.Fatalf("%s: %d handlers ran", k.name, len(outcomes))
			}
			wantRefusal(t, outcomes[0], trat.ReasonTxnTokenMissing)
		}
	}
	if ran := inner.ran.Load(); ran != 0 {
		t.Errorf("%d calls went on", ran)
	}
	outcomes = nil
	if err := errors.Join(callUnary(withToken(callContext(t), d.Raw()), client)); err != nil || len(outcomes) != 1 || outcomes[0] != nil {
		t.Errorf("a good one: %v, %v", err, outcomes)
	}
}

// A link that comes again is served and reported where the rule is not in force.
//
// Covers VER-21, VER-20.
func TestReplaysInPresenceMode(t *testing.T) {
	d := trattest.New(t, domainName)
	for name, rule := range map[string]interceptors.Rule{"jti": interceptors.Require(), "once": interceptors.Require().Once()} {
		for _, mode := range modes() {
			s := newSinks()
			svc := &backend{}
			g := guard(t, d, interceptors.Rules{wholeService: rule}, inMode(mode), interceptors.SingleReplica(), interceptors.WithMeterProvider(s.meters))
			client := dialRaw(t, d, serveGuarded(t, d, g, svc))
			for _, k := range kinds() {
				token := d.Token()
				link := d.RawChain(token, []string{"gateway"}, "orders", k.method)
				before := svc.ran.Load()
				for i := range 3 {
					if name == "once" {
						link = d.RawChain(token, []string{"gateway"}, "orders", k.method)
					}
					err := k.call(withChain(callContext(t), token, link), client)
					if mode == interceptors.EnforceStrict && i > 0 {
						wantRefusal(t, err, trat.ReasonChainReplayed)
					} else if err != nil {
						t.Errorf("%s/%s/%s: %v", name, mode, k.name, err)
					}
				}
				if ran := svc.ran.Load() - before; mode != interceptors.EnforceStrict && ran != 3 {
					t.Errorf("%s/%s/%s: %d handlers ran", name, mode, k.name, ran)
				}
				result := map[bool]string{true: "denied", false: "would_deny"}[mode == interceptors.EnforceStrict]
				want := fmt.Sprintf("error.type=CHAIN_REPLAYED,rpc.method=%s,txn_token.mode=%s,txn_token.result=%s 2", strings.TrimPrefix(k.method, "/"), mode, result)
				if points := s.points(t, "txn_token.server.verifications"); !slices.Contains(points, want) {
					t.Errorf("%s/%s/%s: no %s in\n%s", name, mode, k.name, want, strings.Join(points, "\n"))
				}
			}
		}
	}
}

// A peer that floods a method in shadow mode with bad tokens costs no more there than in
// strict mode: beyond its allowance nothing is verified, and little is logged.
//
// Covers VER-21, VER-25.
func TestFailingPeersAreLimitedInShadowMode(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	svc := &backend{handle: func(ctx context.Context) error {
		noToken(t)(ctx)
		return nil
	}}
	g := guard(t, d, anyScope(), inMode(interceptors.EnforceShadow), interceptors.WithFailureLimit(1, 20),
		interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters))
	addr := serveGuarded(t, d, g, svc)
	client := dialRaw(t, d, addr)
	const calls = 200
	for range calls {
		if err := callUnary(withToken(callContext(t), d.Broken(trattest.Forged)), client); err != nil {
			t.Fatal(err)
		}
	}
	method := strings.TrimPrefix(unaryMethod, "/")
	want := []string{
		"error.type=RATE_LIMITED,rpc.method=" + method + ",txn_token.mode=shadow,txn_token.result=would_deny 180",
		"error.type=TXN_TOKEN_INVALID,rpc.method=" + method + ",txn_token.mode=shadow,txn_token.result=would_deny 20",
	}
	if diff := cmp.Diff(want, s.points(t, "txn_token.server.verifications")); diff != "" {
		t.Errorf("verifications (-want +got):\n%s", diff)
	}
	const burst = 50 // of the log
	if lines := strings.Count(s.log.String(), "would_fail"); lines != burst {
		t.Errorf("%d of %d failures are in the log, want %d", lines, calls, burst)
	}
	// Another peer has its own allowance, of tokens and of log lines.
	svc.handle = nil
	if err := callUnary(withToken(callContext(t), d.Broken(trattest.Forged)), dialAs(t, d, "billing", addr)); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(s.log.String(), "would_fail"); lines != burst+1 {
		t.Errorf("the other peer's failure is not in the log: %d lines", lines)
	}
}

// In modes that are not strict the first message of a stream that breaks the rule is
// reported, and the stream goes on.
//
// Covers VER-21.
func TestMessagesInPresenceMode(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	svc := &chargeBackend{}
	_, addr := serveGuardService(t, d, svc, interceptors.Rules{}, interceptors.WithMeterProvider(s.meters), interceptors.WithLogger(s.logger),
		interceptors.UnsafeEnforcement(guardService+"*", interceptors.EnforcePresence, "the test says so"))
	client := dialGuardService(t, d, addr)
	other := payment()
	other.AmountCents = 2
	for _, k := range paymentKinds() {
		before := svc.received.Load()
		sent := []*rulestestv1.Payment{other, payment(), other, nil}
		if k.method == chargeMethod || k.method == followMethod {
			sent = sent[:1]
		}
		if err := k.call(withToken(callContext(t), paymentToken(d)), client, sent...); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
		if got := svc.received.Load() - before; got != int64(len(sent)) {
			t.Errorf("%s: %d messages received of %d", k.name, got, len(sent))
		}
		want := fmt.Sprintf("error.type=POLICY_DENIED,rpc.method=%s,txn_token.mode=presence,txn_token.result=would_deny 1", strings.TrimPrefix(k.method, "/"))
		if points := s.points(t, "txn_token.server.verifications"); !slices.Contains(points, want) {
			t.Errorf("%s: no %s in\n%s", k.name, want, strings.Join(points, "\n"))
		}
		wantRefusal(t, k.call(callContext(t), client, sent...), trat.ReasonTxnTokenMissing)
	}
	if !strings.Contains(s.log.String(), "payment.amount_cents") {
		t.Error("the log does not name the field")
	}
}

// Covers VER-21, PRIV-02.
func TestTelemetryOfWhatWouldBeRefused(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require("test"), clientStreaming: interceptors.Exempt("the test says so")},
		interceptors.UnsafeEnforcement(unaryMethod, interceptors.EnforcePresence, "callers do not ask for the scope yet"),
		interceptors.UnsafeEnforcement(serverStreaming, interceptors.EnforceShadow, "callers send no TraT yet"),
		interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters))
	client := dialRaw(t, d, serveGuarded(t, d, g, &backend{}, s.serverOption()))
	narrow, forged := d.Raw(trattest.Scope("other"), trattest.TransactionID("txn-1")), d.Broken(trattest.Forged)
	token, err := d.Verifier().Verify(narrow)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(callUnary(withToken(callContext(t), narrow), client), callServerStreaming(withToken(callContext(t), forged), client)); err != nil {
		t.Fatal(err)
	}
	s.last(t, 2, trace.SpanKindServer)
	peer := d.ID("gateway").String()
	want := map[string]map[string]any{
		"presence": {
			"txn_token.result": "would_deny", "txn_token.mode": "presence", "error.type": "INSUFFICIENT_SCOPE", "txn_chain.peer.id": peer,
			"txn_token.txn": "txn-1", "txn_token.hash": hash16(narrow), "txn_token.req_wl": peer, "txn_token.size": int64(len(narrow)),
			"txn_token.remaining_lifetime": token.Expiry().Sub(d.Now()).Seconds(),
			"txn_chain.result":             "ok", "txn_chain.mode": "path", "txn_chain.depth": int64(0),
		},
		"shadow": {
			"txn_token.result": "would_deny", "txn_token.mode": "shadow", "error.type": "TXN_TOKEN_INVALID", "txn_chain.peer.id": peer,
			"txn_token.hash": hash16(forged),
		},
	}
	for _, span := range s.spans.Ended() {
		got := ours(span.Attributes())
		delete(got, "txn_chain.link.hash")
		mode, _ := got["txn_token.mode"].(string)
		if diff := cmp.Diff(want[mode], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
	methods := []string{"txn_token.mode=off 1", "txn_token.mode=presence 1", "txn_token.mode=shadow 1", "txn_token.mode=strict 5"}
	if diff := cmp.Diff(methods, s.points(t, "txn_token.server.methods")); diff != "" {
		t.Errorf("methods by mode (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"txn_token.result=would_deny 2"}, s.points(t, "txn_token.server.verification.duration")); diff != "" {
		t.Errorf("durations (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		`"level":"WARN","msg":"TraT guard lets calls of a method through that break its rule","rpc.method":"grpc.testing.TestService/UnaryCall","mode":"presence","why":"callers do not ask for the scope yet"`,
		`"rpc.method":"grpc.testing.TestService/StreamingOutputCall","mode":"shadow","why":"callers send no TraT yet"`,
		`"msg":"TraT guard let a call through that it would refuse in strict mode","event.name":"txn_token.verification.would_fail","error.type":"INSUFFICIENT_SCOPE","txn_token.result":"would_deny","txn_token.mode":"presence"`,
		`"txn_token.txn":"txn-1"`, `"txn_token.fingerprint":"` + hash43(forged) + `"`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, s.log.String())
		}
	}
}

// An audit of a chain log must find nothing wrong with a guard that required no chain.
//
// Covers VER-21.
func TestTheChainLogOfAMethodThatIsNotStrict(t *testing.T) {
	d := trattest.New(t, domainName)
	log := &memoryLog{}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope(), inMode(interceptors.EnforcePresence), interceptors.WithChainLog(log)), &backend{}))
	if err := callUnary(withChain(callContext(t), d.Token(), ""), client); err != nil {
		t.Fatal(err)
	}
	records := log.take()
	if len(records) != 1 || records[0].Mode != callchain.ModeOff || records[0].Result != "missing" || records[0].Reason != "" || records[0].Chain != nil {
		t.Errorf("records %+v", records)
	}
}

// Covers VER-21.
func TestTightenAtRunTime(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require("test"), clientStreaming: interceptors.Exempt("the test says so")},
		interceptors.UnsafeEnforcement(wholeService, interceptors.EnforceShadow, "roll-out"),
		interceptors.UnsafeEnforcement(bidiStreaming, interceptors.EnforcePresence, "roll-out"),
		interceptors.WithMeterProvider(s.meters))
	if err := g.Tighten(wholeService, interceptors.EnforceStrict); !errors.Is(err, trat.ReasonCoverageUnchecked) {
		t.Errorf("before the coverage check: %v", err)
	}
	client := dialRaw(t, d, serveGuarded(t, d, g, &backend{}))
	none, narrow := callContext(t), withToken(callContext(t), d.Raw(trattest.Scope("other")))
	for name, bad := range map[string]struct {
		key  string
		mode interceptors.Enforcement
	}{
		"no key":              {"", interceptors.EnforceStrict},
		"no method":           {service + "Nothing", interceptors.EnforceStrict},
		"no service":          {"/pkg.Svc/*", interceptors.EnforceStrict},
		"exempt":              {clientStreaming, interceptors.EnforceStrict},
		"no mode":             {unaryMethod, 0},
		"above the strictest": {unaryMethod, interceptors.EnforceStrict + 1},
		"looser":              {bidiStreaming, interceptors.EnforceShadow},
		"looser for one":      {wholeService, interceptors.EnforceShadow},
	} {
		if err := g.Tighten(bad.key, bad.mode); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := callUnary(none, client); err != nil {
		t.Fatalf("a failed Tighten changed something: %v", err)
	}
	if err := g.Tighten(unaryMethod, interceptors.EnforcePresence); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, callUnary(none, client), trat.ReasonTxnTokenMissing)
	if err := errors.Join(callUnary(narrow, client), callServerStreaming(none, client)); err != nil {
		t.Error(err)
	}
	var all sync.WaitGroup // and with calls at the same time
	for range 4 {
		all.Go(func() {
			for range 20 {
				_ = callUnary(narrow, client)
			}
		})
		all.Go(func() {
			if err := g.Tighten(wholeService, interceptors.EnforceStrict); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantRefusal(t, callUnary(narrow, client), trat.ReasonInsufficientScope)
	wantRefusal(t, callServerStreaming(none, client), trat.ReasonTxnTokenMissing)
	if err := callClientStreaming(none, client); err != nil {
		t.Errorf("the exempt method: %v", err)
	}
	if err := g.Tighten(unaryMethod, interceptors.EnforcePresence); err == nil {
		t.Error("Tighten has loosened")
	}
	if diff := cmp.Diff([]string{"txn_token.mode=off 1", "txn_token.mode=presence 0", "txn_token.mode=shadow 0", "txn_token.mode=strict 7"}, s.points(t, "txn_token.server.methods")); diff != "" {
		t.Errorf("methods by mode (-want +got):\n%s", diff)
	}
}

// Another coverage check does not undo what was tightened: loosening takes a restart.
//
// Covers VER-21.
func TestTighteningOutlivesCoverageChecks(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, interceptors.Rules{"/pkg.Svc/*": interceptors.Require()}, interceptors.InstalledByHand(),
		interceptors.UnsafeEnforcement("/pkg.Svc/*", interceptors.EnforceShadow, "roll-out"))
	if err := errors.Join(g.CheckCoverage(oneUnaryOneStream()), g.Tighten("/pkg.Svc/Get", interceptors.EnforcePresence), g.CheckCoverage(oneUnaryOneStream())); err != nil {
		t.Fatal(err)
	}
	got := []interceptors.Enforcement{g.Rules()[0].Enforcement, g.Rules()[1].Enforcement}
	if diff := cmp.Diff([]interceptors.Enforcement{interceptors.EnforcePresence, interceptors.EnforceShadow}, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

// A stream that is open when its method is tightened is held to the new mode with its next
// message, and one without a token ends.
//
// Covers VER-21.
func TestOpenStreamsAreTightened(t *testing.T) {
	d := trattest.New(t, domainName)
	rule := interceptors.Require().CheckMessage(func(context.Context, *trat.Token, any) error { return errors.New("never good") })
	for name, tc := range map[string]struct {
		values []string
		mode   interceptors.Enforcement
		reason trat.Reason
	}{
		"no token":    {nil, interceptors.EnforcePresence, trat.ReasonTxnTokenMissing},
		"bad message": {[]string{d.Raw()}, interceptors.EnforceStrict, trat.ReasonPolicyDenied},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: rule}, inMode(interceptors.EnforceShadow))
			client := dialRaw(t, d, serveGuarded(t, d, g, &backend{}))
			stream, err := client.FullDuplexCall(withToken(callContext(t), tc.values...))
			if err != nil {
				t.Fatal(err)
			}
			echo := func() error {
				if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
					return err
				}
				_, err := stream.Recv()
				return err
			}
			if err := errors.Join(echo(), echo()); err != nil {
				t.Fatal(err)
			}
			if err := g.Tighten(bidiStreaming, tc.mode); err != nil {
				t.Fatal(err)
			}
			wantRefusal(t, echo(), tc.reason)
		})
	}
}

// The allowance of a failing peer grows again by the guard's clock.
//
// Covers VER-25.
func TestFailureLimitRecoversInShadowMode(t *testing.T) {
	d := trattest.New(t, domainName)
	saw := 0
	svc := &backend{handle: func(ctx context.Context) error {
		if _, ok := trat.FromContext(ctx); ok {
			saw++
		}
		return nil
	}}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope(), inMode(interceptors.EnforceShadow), interceptors.WithFailureLimit(1, 1)), svc))
	call := func(raw string) {
		t.Helper()
		if err := callUnary(withToken(callContext(t), raw), client); err != nil {
			t.Fatal(err)
		}
	}
	call(d.Broken(trattest.Forged))
	call(d.Raw()) // not even looked at
	if saw != 0 {
		t.Error("a peer without allowance had its token verified")
	}
	d.Advance(2 * time.Second)
	call(d.Raw())
	if saw != 1 {
		t.Error("the peer's allowance did not grow again")
	}
}
