package interceptors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

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
						if len(got) != 0 && (!tc.handlerRuns || !k.stream) {
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
