package interceptors_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// overlay parses an overlay of the rules, each a key and a rule in JSON, which is YAML too.
func overlay(t *testing.T, rules ...string) interceptors.Overlay {
	t.Helper()
	text := "version: 1\nrules:\n"
	for i := 0; i < len(rules); i += 2 {
		text += fmt.Sprintf("  %q: %s\n", rules[i], rules[i+1])
	}
	o, err := interceptors.ParseOverlay([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBadOverlays(t *testing.T) {
	for name, text := range map[string]string{
		"not YAML":     "\t",
		"no version":   "rules: {}",
		"exemption":    "version: 1\nrules:\n  /pkg.Svc/Get: {exempt: {reason: open}}",
		"unknown key":  "version: 1\nrules:\n  /pkg.Svc/Get: {scope: a}",
		"no key":       "version: 1\nrules:\n  Get: {scopes: [a]}",
		"all services": "version: 1\nrules:\n  /*: {scopes: [a]}",
	} {
		if o, err := interceptors.ParseOverlay([]byte(text)); err == nil {
			t.Errorf("%s: %v", name, o)
		}
	}
	d := trattest.New(t, domainName)
	_, err := interceptors.NewServer(serverConfig(d), interceptors.Rules{}, interceptors.WithOverlay(interceptors.Overlay{}),
		interceptors.UnsafeEnforcement("Get", 0, " "), interceptors.UnsafeEnforcement("/pkg.Svc/*", interceptors.EnforceShadow, "a"),
		interceptors.UnsafeEnforcement("/pkg.Svc/*", interceptors.EnforceStrict, "b"))
	wantProblems(t, err, "WithOverlay: the zero Overlay", `UnsafeEnforcement: "Get": "Get" is neither`, "the mode is none of",
		"it needs its reason", `UnsafeEnforcement: "/pkg.Svc/*": it is given twice`)
}

// An overlay adds demands, and may not take any away.
//
// Covers VER-18, VER-21.
func TestOverlaysOnlyTighten(t *testing.T) {
	d := trattest.New(t, domainName)
	require := interceptors.Require
	for name, tc := range map[string]struct {
		service, get, watch string
		rules               func(service string) interceptors.Rules
		opts                func(service string) []interceptors.ServerOption
		key, overlay        string
		want                []string // nil: it fits
	}{
		"a scope":                    {service: byDefault(""), key: "/Get", overlay: `{scopes: [a]}`},
		"a scope for all":            {service: byDefault(""), key: "/*", overlay: `{scopes: [a]}`},
		"a rule of code":             {key: "/*", overlay: `{scopes: [a]}`, rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/*": require()} }},
		"streams, fitted":            {service: byDefault(""), key: "/*", overlay: `{stream: {maxAge: 60s}}`},
		"streams of a unary":         {service: byDefault(""), key: "/Get", overlay: `{stream: {maxAge: 60s}}`, want: []string{"does not stream"}},
		"exempt no more":             {get: rule(`exempt { reason: "open" }`), watch: rule(""), key: "/Get", overlay: `{scopes: [a]}`},
		"no rule":                    {get: rule(""), key: "/Watch", overlay: `{scopes: [a]}`, want: []string{`method "/SVC/Watch" has no rule`}},
		"no method":                  {service: byDefault(""), key: "/Got", overlay: `{scopes: [a]}`, want: []string{`overlay "/SVC/Got" names nothing`}},
		"a field that is not there":  {service: byDefault(""), key: "/Get", overlay: `{bindings: [{field: nothing, bind: {tctx: a}}]}`, want: []string{"nothing"}},
		"a mode":                     {service: byDefault(""), key: "/*", overlay: `{enforcement: ENFORCEMENT_PRESENCE}`, opts: loosen("/*", interceptors.EnforceShadow)},
		"a looser mode":              {service: byDefault(""), key: "/Get", overlay: `{enforcement: ENFORCEMENT_SHADOW}`, want: []string{`method "/SVC/Get": enforcement: shadow by overlay /SVC/Get is less strict than strict`}},
		"a looser mode than in code": {service: byDefault(""), key: "/Get", overlay: `{enforcement: ENFORCEMENT_SHADOW}`, opts: loosen("/*", interceptors.EnforcePresence), want: []string{"shadow by overlay /SVC/Get is less strict than presence"}},
		"less chain":                 {service: byDefault(`callers: "/gateway"`), key: "/Get", overlay: `{chain: {mode: CHAIN_MODE_OFF}}`, want: []string{"chain.mode: off by overlay /SVC/Get is less strict than path"}},
		"once, and nowhere":          {service: byDefault(""), key: "/Get", overlay: `{replay: REPLAY_ONCE}`, want: []string{"WithOnceStore"}},
		"stays open longer":          {watch: rule(`stream { expiry: STREAM_EXPIRY_CLOSE_AT_EXP }`), get: rule(""), key: "/Watch", overlay: `{stream: {expiry: STREAM_EXPIRY_OPEN_ONLY}}`, want: []string{"stream.expiry"}},
	} {
		t.Run(name, func(t *testing.T) {
			svc := declare(t, tc.service, tc.get, tc.watch, "")
			rules := interceptors.Rules{}
			if tc.rules != nil {
				rules = tc.rules(svc)
			}
			opts := []interceptors.ServerOption{interceptors.InstalledByHand(), interceptors.WithOverlay(overlay(t, "/"+svc+tc.key, tc.overlay))}
			if tc.opts != nil {
				opts = append(opts, tc.opts(svc)...)
			}
			g := guard(t, d, rules, opts...)
			wantCoverage(t, g, registered(svc), svc, tc.want)
			if tc.want == nil && !strings.Contains(strings.Join(append(g.MethodRules()[0].Sources, g.MethodRules()[1].Sources...), "\n"), "overlay /"+svc+tc.key) {
				t.Errorf("the overlay is in force nowhere: %v", g.MethodRules())
			}
		})
	}
}

// What an overlay demands is in force for calls: of a method and of its service, of an
// exempt method, and of a second overlay beside the first.
//
// Covers VER-18, VER-21.
func TestOverlaysAreInForce(t *testing.T) {
	d := trattest.New(t, domainName)
	_, addr := serveGuardService(t, d, &chargeBackend{}, interceptors.Rules{},
		interceptors.UnsafeEnforcement(guardService+"*", interceptors.EnforceShadow, "roll-out"),
		interceptors.WithOverlay(overlay(t, guardService+"*", `{enforcement: ENFORCEMENT_PRESENCE}`, chargeMethod, `{anyScopes: [a, b], enforcement: ENFORCEMENT_STRICT}`)),
		interceptors.WithOverlay(overlay(t, chargeMethod, `{when: ["sub != 'nobody'"]}`, pingMethod, `{callers: [/gateway], enforcement: ENFORCEMENT_STRICT}`)))
	client := dialGuardService(t, d, addr)
	call := func(opts ...trattest.TokenOption) error {
		return charge(withToken(callContext(t), paymentToken(d, opts...)), client, payment())
	}
	wantRefusal(t, call(), trat.ReasonInsufficientScope)
	wantRefusal(t, call(trattest.Scope("a")), trat.ReasonInsufficientScope)
	wantRefusal(t, call(trattest.Scope("payment.charge b"), trattest.Subject("nobody")), trat.ReasonPolicyDenied)
	if err := call(trattest.Scope("payment.charge b")); err != nil {
		t.Error(err)
	}
	// Presence by the overlay for the service, instead of shadow.
	wantRefusal(t, follow(callContext(t), client, payment()), trat.ReasonTxnTokenMissing)
	if err := follow(withToken(callContext(t), d.Raw(trattest.Scope("none"))), client, payment()); err != nil {
		t.Error(err)
	}
	// Ping is exempt without the overlays.
	_, err := client.Ping(callContext(t), &rulestestv1.PingRequest{})
	wantRefusal(t, err, trat.ReasonTxnTokenMissing)
	_, err = rulestestv1.NewGuardServiceClient(connectAs(t, d, "billing", addr)).Ping(withToken(callContext(t), d.Raw()), &rulestestv1.PingRequest{})
	wantRefusal(t, err, trat.ReasonPeerDenied)
	if _, err := client.Ping(withToken(callContext(t), d.Raw()), &rulestestv1.PingRequest{}); err != nil {
		t.Error(err)
	}
}

// An overlay that is about health checking ends its exemption, before the coverage check
// too.
//
// Covers VER-22.
func TestAnOverlayForHealth(t *testing.T) {
	d := trattest.New(t, domainName)
	testHealthRule(t, d, guard(t, d, interceptors.Rules{}, interceptors.WithOverlay(overlay(t, "/grpc.health.v1.Health/*", `{callers: [/gateway]}`))))
}

// testHealthRule checks that g has a rule for health checking.
func testHealthRule(t *testing.T, d *trattest.Domain, g *interceptors.Server) {
	t.Helper()
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	client := healthpb.NewHealthClient(connectAs(t, d, "gateway", serve(t, srv)))
	_, err := client.Check(callContext(t), &healthpb.HealthCheckRequest{})
	wantRefusal(t, err, trat.ReasonCoverageUnchecked)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	_, err = client.Check(callContext(t), &healthpb.HealthCheckRequest{})
	wantRefusal(t, err, trat.ReasonTxnTokenMissing)
}
