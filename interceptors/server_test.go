package interceptors_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func anyScope() interceptors.Rules {
	return interceptors.Rules{wholeService: interceptors.Require()}
}

// Covers VER-01, VER-14.
func TestGuardAdmitsAValidTokenFromAVerifiedPeer(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{handle: func(ctx context.Context) error {
		token, ok := trat.FromContext(ctx)
		if !ok || token.TransactionID() != "txn-1" || token.Subject() != "user-7" {
			t.Errorf("token in the handler's context: %v %v", token, ok)
		}
		peer, ok := spiffecreds.PeerFromContext(ctx)
		if !ok || peer.ID != d.ID("gateway") {
			t.Errorf("peer in the handler's context: %v %v", peer.ID, ok)
		}
		return nil
	}}
	addr := serveGuarded(t, d, guard(t, d, interceptors.Rules{wholeService: interceptors.Require(testScope)}), svc)
	client := dialRaw(t, d, addr)
	raw := d.Raw(trattest.Scope("other.scope "+testScope), trattest.TransactionID("txn-1"), trattest.Subject("user-7"))
	for i, k := range kinds() {
		if err := k.call(withToken(callContext(t), raw), client); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
		if got := svc.ran.Load(); got != int64(i+1) {
			t.Errorf("%s: %d handlers ran, want %d", k.name, got, i+1)
		}
	}
}

// Covers VER-01, PROP-01, PROP-02, ERR-11, ERR-18, PRIV-07.
func TestEveryBadTokenIsRefusedAlikeByAllKinds(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	// A failure limit would answer for the tokens after the hundredth.
	g := guard(t, d, anyScope(), interceptors.WithFailureLimit(1e6, 1e6))
	client := dialRaw(t, d, serveGuarded(t, d, g, svc))
	type sent struct {
		name   string
		values []string
		reason trat.Reason
	}
	good := d.Raw()
	cases := []sent{
		{"no token", nil, trat.ReasonTxnTokenMissing},
		{"two tokens in two values", []string{good, d.Raw()}, trat.ReasonTxnTokenMalformed},
		{"the same token twice", []string{good, good}, trat.ReasonTxnTokenMalformed},
		{"leading space", []string{" " + good}, trat.ReasonTxnTokenMalformed},
		{"bearer scheme", []string{"Bearer " + good}, trat.ReasonTxnTokenMalformed},
		{"trailing comma", []string{good + ","}, trat.ReasonTxnTokenMalformed},
		{"4097 bytes", []string{strings.Repeat("a", trat.MaxSize+1)}, trat.ReasonTxnTokenMalformed},
	}
	for _, b := range d.BrokenTokens() {
		cases = append(cases, sent{string(b.Flaw), []string{b.Raw}, b.Reason})
	}
	for _, tc := range cases {
		for _, k := range kinds() {
			t.Run(tc.name+"/"+k.name, func(t *testing.T) {
				wantRefusal(t, k.call(withToken(callContext(t), tc.values...), client), tc.reason)
			})
		}
	}
	if ran, received := svc.ran.Load(), svc.received.Load(); ran != 0 || received != 0 {
		t.Errorf("handlers ran %d times and received %d messages behind bad tokens", ran, received)
	}
}

// refusalCase is a way to be refused with a token that is good.
type refusalCase struct {
	name   string
	reason trat.Reason
	rules  interceptors.Rules
	opts   []interceptors.ServerOption
	config func(*interceptors.ServerConfig)
	// uncovered and unregistered leave coverage unchecked, or checked against a server
	// without the service.
	uncovered, unregistered bool
	server, client          func(*trattest.Domain) credentials.TransportCredentials // nil: workloads of the Domain
	later                   time.Duration                                           // the guard's clock runs ahead of the certificates'
	handlerMayRun           bool
}

func deny(context.Context, *trat.Token, any) error { return errors.New("denied by the test") }

func cannotDecide(context.Context, *trat.Token, any) error {
	return trat.Errorf(trat.ReasonPolicyUnavailable, "", "decision point out of reach")
}

func plaintext(*trattest.Domain) credentials.TransportCredentials { return insecure.NewCredentials() }

type absentKeys struct{}

func (absentKeys) Key(string) (*trat.Key, error) {
	return nil, &trat.Error{Reason: trat.ReasonKeysUnavailable}
}

func refusalCases(t *testing.T, d, foreign *trattest.Domain) []refusalCase {
	both := bundles(t, d, foreign)
	federated := func(td *trattest.Domain, path string) func(*trattest.Domain) credentials.TransportCredentials {
		return func(*trattest.Domain) credentials.TransportCredentials {
			creds, err := spiffecreds.NewClient(td.Source(path), both, spiffeid.MatchAny())
			if err != nil {
				t.Fatal(err)
			}
			return creds
		}
	}
	openToAll := func(d *trattest.Domain) credentials.TransportCredentials {
		creds, err := spiffecreds.NewServer(d.Source("orders"), both, spiffeid.MatchAny())
		if err != nil {
			t.Fatal(err)
		}
		return creds
	}
	return []refusalCase{
		{name: "coverage not checked", reason: trat.ReasonCoverageUnchecked, rules: anyScope(), uncovered: true},
		{name: "plaintext listener", reason: trat.ReasonClientUnauthenticated, rules: anyScope(), server: plaintext, client: plaintext},
		{name: "peer's certificate expired", reason: trat.ReasonPeerSVIDExpired, rules: anyScope(), later: 1000 * time.Hour},
		{name: "federated peer", reason: trat.ReasonPeerDenied, rules: anyScope(), server: openToAll, client: federated(foreign, "gateway")},
		{name: "no rule", reason: trat.ReasonPolicyDenied, rules: interceptors.Rules{}, unregistered: true},
		{name: "caller not named", reason: trat.ReasonPeerDenied, rules: interceptors.Rules{
			wholeService: interceptors.Require().FromCallers(spiffeid.MatchID(d.ID("billing")), spiffeid.MatchID(d.ID("gateway/admin"))),
		}},
		{name: "scope", reason: trat.ReasonInsufficientScope, rules: interceptors.Rules{wholeService: interceptors.Require("test", "test2")}},
		{name: "check", reason: trat.ReasonPolicyDenied, handlerMayRun: true, rules: interceptors.Rules{
			wholeService: interceptors.Require("test").Check(deny).CheckMessage(deny),
		}},
		{name: "second check", reason: trat.ReasonPolicyDenied, handlerMayRun: true, rules: interceptors.Rules{
			wholeService: interceptors.Require("test").Check(allow).Check(deny).CheckMessage(allow).CheckMessage(deny),
		}},
		{name: "check for another type", reason: trat.ReasonPolicyDenied, handlerMayRun: true, rules: interceptors.Rules{
			wholeService: interceptors.Require("test").Check(checkEmpty()).CheckMessage(checkEmpty()),
		}},
		{name: "check cannot decide", reason: trat.ReasonPolicyUnavailable, handlerMayRun: true, rules: interceptors.Rules{
			wholeService: interceptors.Require("test").Check(cannotDecide).CheckMessage(cannotDecide),
		}},
		{name: "no keys", reason: trat.ReasonKeysUnavailable, rules: anyScope(), config: func(cfg *interceptors.ServerConfig) {
			v, err := trat.NewVerifier(domainName, d.Issuer(), absentKeys{}, trat.WithClock(d.Now))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Verifier = v
		}},
	}
}

func allow(context.Context, *trat.Token, any) error { return nil }

func checkEmpty() interceptors.CheckFunc {
	return interceptors.CheckOf(func(context.Context, *trat.Token, *testpb.Empty) error { return nil })
}

// bundles holds the authorities of several trust domains.
func bundles(t *testing.T, domains ...*trattest.Domain) *x509bundle.Set {
	set := x509bundle.NewSet()
	for _, d := range domains {
		b, err := d.Source("any").GetX509BundleForTrustDomain(d.TrustDomain())
		if err != nil {
			t.Fatal(err)
		}
		set.Add(b)
	}
	return set
}

// Covers VER-01, VER-13, VER-14, SEC-07, ERR-12, ERR-14, ERR-18, PRIV-07.
func TestEveryRefusalIsAlikeInAllKinds(t *testing.T) {
	d, foreign := trattest.New(t, domainName), trattest.New(t, "partner.test")
	for _, tc := range refusalCases(t, d, foreign) {
		t.Run(tc.name, func(t *testing.T) {
			svc, client := tc.start(t, d)
			d.Advance(tc.later)
			defer d.Advance(-tc.later)
			raw := d.Raw(trattest.Scope("test"))
			for _, k := range kinds() {
				t.Run(k.name, func(t *testing.T) {
					wantRefusal(t, k.call(withToken(callContext(t), raw), client), tc.reason)
				})
			}
			if received := svc.received.Load(); received != 0 {
				t.Errorf("handlers received %d messages", received)
			}
			if ran := svc.ran.Load(); ran != 0 && !tc.handlerMayRun {
				t.Errorf("%d handlers ran", ran)
			}
		})
	}
}

// start serves a backend as tc wants it and returns it with a client of it.
func (tc refusalCase) start(t *testing.T, d *trattest.Domain) (*backend, testpb.TestServiceClient) {
	t.Helper()
	cfg := serverConfig(d)
	if tc.config != nil {
		tc.config(&cfg)
	}
	opts := append([]interceptors.ServerOption{interceptors.WithClock(d.Now), interceptors.WithLogger(quiet())}, tc.opts...)
	g, err := interceptors.NewServer(cfg, tc.rules, opts...)
	if err != nil {
		t.Fatal(err)
	}
	server := d.ServerCredentials("orders", d.Members())
	if tc.server != nil {
		server = tc.server(d)
	}
	client := d.ClientCredentials("gateway", d.Members())
	if tc.client != nil {
		client = tc.client(d)
	}
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(server))...)
	if tc.unregistered {
		if err := g.CheckCoverage(srv); err != nil {
			t.Fatal(err)
		}
	}
	svc := &backend{}
	testpb.RegisterTestServiceServer(srv, svc)
	if !tc.uncovered && !tc.unregistered {
		if err := g.CheckCoverage(srv); err != nil {
			t.Fatal(err)
		}
	}
	return svc, dial(t, serve(t, srv), client, tc.dialOptions(t, d)...)
}

// dialOptions are what makes good calls in d's own trust domain good.
func (tc refusalCase) dialOptions(t *testing.T, d *trattest.Domain) []grpc.DialOption {
	if tc.client != nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithPerRPCCredentials(linkingAs(t, d, "gateway"))}
}

// Covers VER-13.
func TestListedForeignTrustDomainMayCallWithOurToken(t *testing.T) {
	d, foreign := trattest.New(t, domainName), trattest.New(t, "partner.test")
	for _, tc := range refusalCases(t, d, foreign) {
		if tc.name != "federated peer" {
			continue
		}
		tc.opts = append(tc.opts, interceptors.UnsafeAllowPeerTrustDomain(foreign.TrustDomain()))
		_, strict := tc.start(t, d)
		// Nobody there can sign a link that counts here.
		tc.rules = interceptors.Rules{wholeService: interceptors.Require().FromCallers(spiffeid.MatchID(foreign.ID("gateway"))).ChainOff()}
		_, client := tc.start(t, d)
		for _, k := range kinds() {
			wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), strict), trat.ReasonChainMissing)
			if err := k.call(withToken(callContext(t), d.Raw()), client); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
			// The exception is for peers. A token of the other trust domain stays worthless.
			wantRefusal(t, k.call(withToken(callContext(t), foreign.Raw()), client), trat.ReasonTxnTokenAudience)
		}
	}
}

// Covers VER-15, PROP-03.
func TestAuthorizationMetadataIsNeverRead(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc))
	for _, k := range kinds() {
		for _, value := range []string{"Bearer " + d.Raw(), d.Raw(), "Txn-Token " + d.Raw()} {
			ctx := metadata.AppendToOutgoingContext(callContext(t), "authorization", value)
			wantRefusal(t, k.call(ctx, client), trat.ReasonTxnTokenMissing)
		}
		// Neither does it disturb a good call.
		ctx := metadata.AppendToOutgoingContext(callContext(t), "authorization", "Bearer "+d.Broken(trattest.Forged))
		if err := k.call(withToken(ctx, d.Raw()), client); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}

// Covers VER-22.
func TestHealthIsExemptByDefaultAndReflectionIsNot(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, interceptors.Rules{
		"/grpc.reflection.v1.ServerReflection/*":      interceptors.Require(),
		"/grpc.reflection.v1alpha.ServerReflection/*": interceptors.Require(),
	})
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	reflection.Register(srv)
	cc := connectAs(t, d, "gateway", serve(t, srv))
	check := func(when string) {
		t.Helper()
		// A forged token does not matter either: it is not read.
		ctx := withToken(callContext(t), d.Broken(trattest.Forged))
		answer, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%s: health: %v %v", when, answer, err)
		}
	}
	list := func(ctx context.Context) error {
		stream, err := reflectionpb.NewServerReflectionClient(cc).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	check("before the coverage check")
	wantRefusal(t, list(withToken(callContext(t), d.Raw())), trat.ReasonCoverageUnchecked)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	check("after the coverage check")
	wantRefusal(t, list(callContext(t)), trat.ReasonTxnTokenMissing)
}

// A proxy serves what is not registered. Before the coverage check nothing but the
// methods of the health protocol may get through to it.
//
// Covers VER-01, VER-22.
func TestUnknownServicesAreGuardedUnderHealthsNameToo(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, anyScope())
	var ran atomic.Int64
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			ran.Add(1)
			return nil
		}))...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	cc := connectAs(t, d, "gateway", serve(t, srv))
	methods := []string{
		"/grpc.health.v1.Health/Admin", "/grpc.health.v1.Health/../pkg.Svc/Get", "/grpc.health.v1.Health/Check/x",
		"/grpc.health.v1.Health/", "/grpc.health.v1.HealthX/Check", "/pkg.Svc/Get", "//grpc.health.v1.Health/Check",
	}
	call := func(want trat.Reason) {
		t.Helper()
		for _, m := range methods {
			wantRefusal(t, cc.Invoke(withToken(callContext(t), d.Raw()), m, &testpb.Empty{}, &testpb.Empty{}), want)
		}
	}
	call(trat.ReasonCoverageUnchecked)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	methods = append(methods, "/grpc.health.v1.Health/Check") // which is not registered
	call(trat.ReasonPolicyDenied)
	if n := ran.Load(); n != 0 {
		t.Errorf("the handler for unknown services ran %d times", n)
	}
}

// Covers VER-22.
func TestARuleForHealthReplacesTheExemption(t *testing.T) {
	d := trattest.New(t, domainName)
	testHealthRule(t, d, guard(t, d, interceptors.Rules{"/grpc.health.v1.Health/*": interceptors.Require()}))
}

// Covers VER-23, PRIV-01.
func TestHandlersCannotReadTheRawToken(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{handle: func(ctx context.Context) error {
		md, ok := metadata.FromIncomingContext(ctx)
		if !ok || len(md.Get("x-request-id")) != 1 {
			t.Errorf("the application's own metadata is gone: %v", md)
		}
		for key := range md {
			if key == "txn-token" || key == "txn-chain" || key == "txn-chain-certs-bin" {
				t.Errorf("%s reached the handler", key)
			}
		}
		if out, _ := metadata.FromOutgoingContext(ctx); out.Len() != 0 {
			t.Errorf("inbound metadata became outbound: %v", out)
		}
		return nil
	}}
	for name, rule := range map[string]interceptors.Rule{
		"guarded": interceptors.Require(), "exempt": interceptors.Exempt("the test says so"),
	} {
		t.Run(name, func(t *testing.T) {
			client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, eachMethod(rule)), svc))
			for _, k := range kinds() {
				ctx := metadata.AppendToOutgoingContext(withToken(callContext(t), d.Raw()),
					"txn-chain-certs-bin", "\x00\x01", "x-request-id", "7")
				if err := k.call(ctx, client); err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
		})
	}
}

func TestExemptMethodsRunWithoutATokenInTheContext(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{handle: func(ctx context.Context) error {
		if token, ok := trat.FromContext(ctx); ok {
			t.Errorf("a token that nobody verified is in the context: %v", token)
		}
		return nil
	}}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, eachMethod(interceptors.Exempt("public"))), svc))
	for _, k := range kinds() {
		for _, values := range [][]string{nil, {d.Raw()}, {d.Broken(trattest.Forged)}, {"a", "b"}} {
			if err := k.call(withToken(callContext(t), values...), client); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
		}
	}
}
