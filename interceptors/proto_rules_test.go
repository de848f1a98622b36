package interceptors_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// A guard with no rule in code at all holds every kind of call to what stands in the proto
// file.
//
// Covers VER-01, VER-18.
func TestTheProtoFileAloneRules(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &chargeBackend{}
	s := newSinks()
	_, addr := serveGuardService(t, d, svc, interceptors.Rules{}, interceptors.WithLogger(s.logger), interceptors.WithFailureLimit(1e6, 1e6))
	client := dialGuardService(t, d, addr)
	billing := rulestestv1.NewGuardServiceClient(connectAs(t, d, "billing", addr))
	changed := func(change func(*rulestestv1.Payment)) *rulestestv1.Payment {
		p := proto.CloneOf(payment())
		change(p)
		return p
	}
	for _, tc := range []struct {
		name    string
		client  rulestestv1.GuardServiceClient
		raw     string
		payment *rulestestv1.Payment
		reason  trat.Reason
		field   string // at fault, for the log
	}{
		{"as permitted", client, paymentToken(d), payment(), "", ""},
		{"fewer parts", client, paymentToken(d), changed(func(p *rulestestv1.Payment) { p.Parts = 1 }), "", ""},
		{"no token", client, "", payment(), trat.ReasonTxnTokenMissing, ""},
		{"another caller", billing, paymentToken(d), payment(), trat.ReasonPeerDenied, ""},
		{"scope", client, paymentToken(d, trattest.Scope("payment.refund")), payment(), trat.ReasonInsufficientScope, "scope"},
		{"another order", client, paymentToken(d), changed(func(p *rulestestv1.Payment) { p.OrderId = "o-2" }), trat.ReasonPolicyDenied, "payment.order_id"},
		{"another amount", client, paymentToken(d), changed(func(p *rulestestv1.Payment) { p.AmountCents++ }), trat.ReasonPolicyDenied, "payment.amount_cents"},
		{"another currency", client, paymentToken(d), changed(func(p *rulestestv1.Payment) { p.Currency = "eur" }), trat.ReasonPolicyDenied, "payment.currency"},
		{"too many parts", client, paymentToken(d), changed(func(p *rulestestv1.Payment) { p.Parts = 4 }), trat.ReasonPolicyDenied, "payment.parts"},
		{"no payment", client, paymentToken(d), nil, trat.ReasonPolicyDenied, "payment."},
		{
			"no amount in the token", client, paymentToken(d, trattest.Details(`{"order":{"id":"o-1","currency":"EUR","max_parts":3,"open":true}}`)),
			payment(), trat.ReasonPolicyDenied, "payment.amount_cents",
		},
		{"no tctx", client, paymentToken(d, trattest.Details(`{"other":1}`)), payment(), trat.ReasonPolicyDenied, "order"},
	} {
		for _, k := range paymentKinds() {
			t.Run(tc.name+"/"+k.name, func(t *testing.T) {
				var tokens []string
				if tc.raw != "" {
					tokens = []string{tc.raw}
				}
				received, logged := svc.received.Load(), len(s.log.String())
				err := k.call(withToken(callContext(t), tokens...), tc.client, tc.payment)
				got := svc.received.Load() - received
				if tc.reason == "" {
					if err != nil || got != 1 {
						t.Fatalf("%v, %d messages received", err, got)
					}
					return
				}
				wantRefusal(t, err, tc.reason)
				if got != 0 {
					t.Errorf("the handler received %d messages", got)
				}
				log := s.log.String()[logged:]
				if !strings.Contains(log, tc.field) {
					t.Errorf("the log does not name %s:\n%s", tc.field, log)
				}
				for _, value := range []string{"1999", "2000", "o-1", "o-2", "EUR", "eur"} {
					if strings.Contains(strings.ReplaceAll(log, "payment.order_id", ""), `"`+value) {
						t.Errorf("the value %s is in the log:\n%s", value, log)
					}
				}
			})
		}
	}
	// Exempt by the same file: what is sent is not read.
	before := svc.ran.Load()
	for _, values := range [][]string{nil, {d.Broken(trattest.Forged)}} {
		if _, err := client.Ping(withToken(callContext(t), values...), &rulestestv1.PingRequest{}); err != nil {
			t.Error(err)
		}
	}
	if ran := svc.ran.Load() - before; ran != 2 {
		t.Errorf("%d handlers of two ran", ran)
	}
}

// Conditions are asked with the token of the call: those about the request with it.
//
// Covers VER-18.
func TestConditionsOfTheProtoFile(t *testing.T) {
	d := trattest.New(t, domainName)
	_, addr := serveGuardService(t, d, &chargeBackend{}, interceptors.Rules{})
	client := dialGuardService(t, d, addr)
	with := func(more string) string {
		return paymentToken(d, trattest.Details(`{"order":{"id":"o-1","amount_cents":"1999","currency":"EUR","max_parts":3`+more+`}}`))
	}
	for name, tc := range map[string]struct {
		raw, note string
		holds     bool
	}{
		"open":                      {with(`,"open":true`), "", true},
		"closed":                    {with(`,"open":false`), "", false},
		"nothing about it":          {with(``), "", false},
		"another type":              {with(`,"open":"true"`), "", false},
		"a note that is permitted":  {with(`,"open":true,"notes":true`), "hello", true},
		"a note that is not":        {with(`,"open":true,"notes":false`), "hello", false},
		"a note, and nothing said":  {with(`,"open":true`), "hello", false},
		"permitted, but not needed": {with(`,"open":true,"notes":true`), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Charge(withToken(callContext(t), tc.raw), &rulestestv1.ChargeRequest{Payment: payment(), Note: tc.note})
			if !tc.holds {
				wantRefusal(t, err, trat.ReasonPolicyDenied)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// Each message of a stream is held to the bindings: the first that breaks one ends it, and
// the handler never sees that one.
//
// Covers VER-18.
func TestEachMessageOfAStreamIsBound(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &chargeBackend{}
	_, addr := serveGuardService(t, d, svc, interceptors.Rules{})
	client := dialGuardService(t, d, addr)
	other := payment()
	other.AmountCents = 2
	for _, k := range paymentKinds()[2:] {
		before := svc.received.Load()
		wantRefusal(t, k.call(withToken(callContext(t), paymentToken(d)), client, payment(), payment(), other, payment()), trat.ReasonPolicyDenied)
		if got := svc.received.Load() - before; got != 2 {
			t.Errorf("%s: the handler received %d messages of two good ones", k.name, got)
		}
	}
}

// What code and proto file say holds both.
//
// Covers VER-18.
func TestCodeAddsToTheProtoFile(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &chargeBackend{}
	_, addr := serveGuardService(t, d, svc, interceptors.Rules{
		guardService + "*": interceptors.Require("payment.any").Check(allow).CheckMessage(allow).NotThrough(func(id spiffeid.ID) error {
			if id == d.ID("billing") {
				return nil
			}
			return errors.New("another")
		}),
		chargeMethod: interceptors.Require().AnyScope("a", "b").RequireTctx("order.tax").When("sub == 'user-7'").
			Bind("note", "order.note").Check(interceptors.CheckOf(func(_ context.Context, _ *trat.Token, req *rulestestv1.ChargeRequest) error {
			if req.GetNote() == "no" {
				return errors.New("the check says no")
			}
			return nil
		})),
		pingMethod: interceptors.Exempt("nor does code say anything"),
	})
	client := dialGuardService(t, d, addr)
	details := func(more string) trattest.TokenOption {
		return trattest.Details(`{"order":{"id":"o-1","amount_cents":1999,"currency":"EUR","max_parts":3,"open":true,"notes":true` + more + `}}`)
	}
	all := details(`,"tax":1,"note":"yes"`)
	for name, tc := range map[string]struct {
		opts   []trattest.TokenOption
		note   string
		reason trat.Reason
	}{
		"everything":           {[]trattest.TokenOption{trattest.Scope("payment.charge b"), trattest.Subject("user-7"), all}, "yes", ""},
		"scope of the file":    {[]trattest.TokenOption{trattest.Scope("b"), trattest.Subject("user-7"), all}, "yes", trat.ReasonInsufficientScope},
		"neither scope":        {[]trattest.TokenOption{trattest.Scope("payment.charge"), trattest.Subject("user-7"), all}, "yes", trat.ReasonInsufficientScope},
		"member":               {[]trattest.TokenOption{trattest.Scope("payment.charge a"), trattest.Subject("user-7"), details(`,"note":"yes"`)}, "yes", trat.ReasonPolicyDenied},
		"null is none":         {[]trattest.TokenOption{trattest.Scope("payment.charge a"), trattest.Subject("user-7"), details(`,"tax":null,"note":"yes"`)}, "yes", trat.ReasonPolicyDenied},
		"condition":            {[]trattest.TokenOption{trattest.Scope("payment.charge a"), trattest.Subject("user-8"), all}, "yes", trat.ReasonPolicyDenied},
		"field bound in code":  {[]trattest.TokenOption{trattest.Scope("payment.charge a"), trattest.Subject("user-7"), all}, "maybe", trat.ReasonPolicyDenied},
		"check, which is last": {[]trattest.TokenOption{trattest.Scope("payment.charge a"), trattest.Subject("user-7"), details(`,"tax":1,"note":"no"`)}, "no", trat.ReasonPolicyDenied},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Charge(withToken(callContext(t), paymentToken(d, tc.opts...)), &rulestestv1.ChargeRequest{Payment: payment(), Note: tc.note})
			if tc.reason != "" {
				wantRefusal(t, err, tc.reason)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	// The service's rule of code holds for the others.
	wantRefusal(t, converse(withToken(callContext(t), paymentToken(d)), client, payment()), trat.ReasonInsufficientScope)
	if err := converse(withToken(callContext(t), paymentToken(d, trattest.Scope("payment.charge payment.any"))), client, payment()); err != nil {
		t.Error(err)
	}
}

// Covers VER-18.
func TestRulesSaysWhatIsInForce(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, interceptors.Rules{chargeMethod: interceptors.Require()})
	if got := g.MethodRules(); got != nil {
		t.Errorf("before the coverage check: %v", got)
	}
	g, _ = serveGuardService(t, d, &chargeBackend{}, interceptors.Rules{chargeMethod: interceptors.Require()},
		interceptors.UnsafeEnforcement(collectMethod, interceptors.EnforceShadow, "roll-out"))
	type shown struct {
		Method, Exempt, Mode string
		Sources              int
	}
	var got []shown
	for _, r := range g.MethodRules() {
		got = append(got, shown{r.FullMethod, r.Exempt, r.Enforcement.String(), len(r.Sources)})
	}
	const fields = 4 // that are bound, each a source
	want := []shown{
		{chargeMethod, "", "strict", fields + 3},
		{collectMethod, "", "shadow", fields + 1},
		{converseMethod, "", "strict", fields + 1},
		{followMethod, "", "strict", fields + 1},
		{pingMethod, "it says nothing", "none", 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	demands := []string{
		"scopes: payment.charge", "tctx: order.id", "callers: /gateway", "chain.mode: path", "chain.max_links: 6", "replay: jti",
		"when: tctx.order.open == true", "when: request.note == '' || tctx.order.notes == true",
		"bindings: payment.order_id = tctx.order.id", "bindings: payment.amount_cents = tctx.order.amount_cents",
		"bindings: payment.currency = tctx.order.currency",
		"bindings: payment.parts (this), tctx.order.max_parts (bound): this <= bound",
	}
	if diff := cmp.Diff(demands, g.MethodRules()[0].Demands); diff != "" {
		t.Errorf("demands (-want +got):\n%s", diff)
	}
	sources := strings.Join(g.MethodRules()[0].Sources, "\n")
	for _, want := range []string{
		"method option rulestest.v1.GuardService.Charge", "service default rulestest.v1.GuardService",
		"field option rulestest.v1.Payment.amount_cents", "code " + chargeMethod,
	} {
		if !strings.Contains(sources, want) {
			t.Errorf("sources lack %q:\n%s", want, sources)
		}
	}
}

// Covers VER-18.
func TestRulesSaysWhatOnlyCodeCan(t *testing.T) {
	d := trattest.New(t, domainName)
	rule := interceptors.Require().AnyScope("a", "b").FromCallers(d.Members()).Through(d.Only("gateway")).NotThrough(d.Only("billing")).MaxLinks(3).
		StrictTrace().ReplayOff().CheckMessage(allow).StreamGrace(2 * time.Second).StreamMaxAge(time.Hour).StreamDrain(time.Second)
	g := guard(t, d, interceptors.Rules{"/pkg.Svc/Get": interceptors.Exempt("public"), "/pkg.Svc/Watch": rule}, interceptors.InstalledByHand())
	if err := g.CheckCoverage(oneUnaryOneStream()); err != nil {
		t.Fatal(err)
	}
	want := []interceptors.MethodRule{
		{FullMethod: "/pkg.Svc/Get", Exempt: "public", Sources: []string{"code /pkg.Svc/Get"}},
		{
			FullMethod: "/pkg.Svc/Watch", Enforcement: interceptors.EnforceStrict, Sources: []string{"code /pkg.Svc/Watch"},
			Demands: []string{
				"any_scopes: a, b", "callers: 1 matchers in code", "chain.mode: path", "chain.max_links: 3", "chain.strict_trace: true",
				"chain.through: 1 matchers in code", "chain.not_through: 1 matchers in code", "replay: off",
				"stream.expiry: grace", "stream.grace: 2s", "stream.max_age: 1h0m0s", "stream.drain: 1s", "request: 1 checks in code",
			},
		},
	}
	if diff := cmp.Diff(want, g.MethodRules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// io.EOF of a handler's Recv must not be taken for a message: nothing is checked there.
func TestTheEndOfAStreamIsNoMessage(t *testing.T) {
	d := trattest.New(t, domainName)
	_, addr := serveGuardService(t, d, &chargeBackend{}, interceptors.Rules{})
	client := dialGuardService(t, d, addr)
	for _, k := range paymentKinds()[2:] {
		if err := k.call(withToken(callContext(t), paymentToken(d)), client); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s without a message: %v", k.name, err)
		}
	}
}
