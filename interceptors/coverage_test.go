package interceptors_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// services is a ServiceInfoProvider of any shape.
type services map[string]grpc.ServiceInfo

func (s services) GetServiceInfo() map[string]grpc.ServiceInfo { return s }

func oneUnaryOneStream() services {
	return services{"pkg.Svc": {Methods: []grpc.MethodInfo{
		{Name: "Get"},
		{Name: "Watch", IsServerStream: true},
	}}}
}

// Covers VER-22.
func TestCoverageIsCheckedBothWays(t *testing.T) {
	d := trattest.New(t, domainName)
	rule := interceptors.Require()
	withHealth := oneUnaryOneStream()
	withHealth["grpc.health.v1.Health"] = grpc.ServiceInfo{Methods: []grpc.MethodInfo{{Name: "Check"}, {Name: "Watch", IsServerStream: true}}}
	withReflection := oneUnaryOneStream()
	withReflection["grpc.reflection.v1.ServerReflection"] = grpc.ServiceInfo{Methods: []grpc.MethodInfo{{Name: "ServerReflectionInfo", IsServerStream: true}}}
	for name, tc := range map[string]struct {
		services services
		rules    interceptors.Rules
		want     []string // nil: covered
	}{
		"by method":                     {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/Get": rule, "/pkg.Svc/Watch": rule}, nil},
		"by service":                    {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule}, nil},
		"by both":                       {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule, "/pkg.Svc/Get": rule}, nil},
		"service rule overridden fully": {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule, "/pkg.Svc/Get": rule, "/pkg.Svc/Watch": rule}, nil},
		"health needs none":             {withHealth, interceptors.Rules{"/pkg.Svc/*": rule}, nil},
		"health may have one":           {withHealth, interceptors.Rules{"/pkg.Svc/*": rule, "/grpc.health.v1.Health/*": rule}, nil},
		"fitting checks":                {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/Get": rule.Check(allow), "/pkg.Svc/Watch": rule.CheckMessage(allow)}, nil},
		"service rule with both checks": {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule.Check(allow).CheckMessage(allow)}, nil},
		"no rules, nothing registered":  {services{}, interceptors.Rules{}, nil},
		"no rules":                      {oneUnaryOneStream(), interceptors.Rules{}, []string{`method "/pkg.Svc/Get" has no rule`, `method "/pkg.Svc/Watch" has no rule`}},
		"one method without":            {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/Get": rule}, []string{`method "/pkg.Svc/Watch" has no rule`}},
		"more than health in its name": {
			services{"grpc.health.v1.Health": {Methods: []grpc.MethodInfo{{Name: "Check"}, {Name: "Admin"}}}},
			interceptors.Rules{},
			[]string{`method "/grpc.health.v1.Health/Admin" has no rule`},
		},
		"reflection":                     {withReflection, interceptors.Rules{"/pkg.Svc/*": rule}, []string{"ServerReflectionInfo"}},
		"rule for no method":             {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule, "/pkg.Svc/Gett": rule}, []string{`rule "/pkg.Svc/Gett" names nothing`}},
		"rule for no service":            {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule, "/pkg.Scv/*": rule}, []string{`rule "/pkg.Scv/*" names nothing`}},
		"rule for absent health":         {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule, "/grpc.health.v1.Health/*": rule}, []string{"names nothing"}},
		"Check on a stream":              {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/Get": rule, "/pkg.Svc/Watch": rule.Check(allow)}, []string{"this one streams"}},
		"CheckMessage on a unary":        {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/Get": rule.CheckMessage(allow), "/pkg.Svc/Watch": rule}, []string{"this method is unary"}},
		"both checks on one method":      {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/Get": rule, "/pkg.Svc/Watch": rule.Check(allow).CheckMessage(allow)}, []string{"this one streams"}},
		"service rule with Check":        {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule.Check(allow)}, []string{"this one streams"}},
		"service rule with CheckMessage": {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule.CheckMessage(allow)}, []string{"this method is unary"}},
		"head without callers":           {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule, "/pkg.Svc/Get": rule.ChainHead()}, []string{"chain.mode: head needs callers"}},
		"off without callers":            {oneUnaryOneStream(), interceptors.Rules{"/pkg.Svc/*": rule.ChainOff()}, []string{"off needs callers", "off needs callers"}},
		"everything at once": {
			oneUnaryOneStream(),
			interceptors.Rules{"/pkg.Svc/Watch": rule.Check(allow), "/pkg.Scv/*": rule},
			[]string{`method "/pkg.Svc/Get" has no rule`, "this one streams", `rule "/pkg.Scv/*" names nothing`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := guard(t, d, tc.rules, interceptors.InstalledByHand()).CheckCoverage(tc.services)
			if tc.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantProblems(t, err, tc.want...)
		})
	}
	if err := guard(t, d, interceptors.Rules{}).CheckCoverage(nil); err == nil {
		t.Error("coverage of no server passed")
	}
}

// A guard that no server was given would guard nothing.
//
// Covers VER-22.
func TestCoverageFailsForAGuardThatIsNotInstalled(t *testing.T) {
	d := trattest.New(t, domainName)
	rules := interceptors.Rules{"/pkg.Svc/*": interceptors.Require()}
	g := guard(t, d, rules)
	wantProblems(t, g.CheckCoverage(oneUnaryOneStream()), "the guard is not installed")
	if err := g.Ready(); !errors.Is(err, trat.ReasonCoverageUnchecked) {
		t.Errorf("Ready = %v", err)
	}
	// Together with what else is wrong.
	wantProblems(t, g.CheckCoverage(services{}), "the guard is not installed", "names nothing")

	g.ServerOptions()
	if err := errors.Join(g.CheckCoverage(oneUnaryOneStream()), g.Ready()); err != nil {
		t.Error(err)
	}
	byHand := guard(t, d, rules, interceptors.InstalledByHand())
	if err := errors.Join(byHand.CheckCoverage(oneUnaryOneStream()), byHand.Ready()); err != nil {
		t.Error(err)
	}
}

func TestAFailedCoverageCheckClosesTheGuardAgain(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, anyScope())
	client := dialRaw(t, d, serveGuarded(t, d, g, &backend{}))
	ctx := withToken(callContext(t), d.Raw())
	if err := callUnary(ctx, client); err != nil {
		t.Fatal(err)
	}
	if err := g.CheckCoverage(services{}); err == nil {
		t.Fatal("the rules name a service that is not there, and nobody minded")
	}
	wantRefusal(t, callUnary(ctx, client), trat.ReasonCoverageUnchecked)
	if err := g.Ready(); !errors.Is(err, trat.ReasonCoverageUnchecked) {
		t.Errorf("Ready = %v", err)
	}
}

func TestTheExactRuleWins(t *testing.T) {
	d := trattest.New(t, domainName)
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, interceptors.Rules{
		wholeService:    interceptors.Require("never.granted"),
		unaryMethod:     interceptors.Require("test"),
		serverStreaming: interceptors.Exempt("the test says so"),
	}), &backend{}))
	ctx := withToken(callContext(t), d.Raw(trattest.Scope("test")))
	if err := callUnary(ctx, client); err != nil {
		t.Error(err)
	}
	if err := callServerStreaming(callContext(t), client); err != nil {
		t.Error(err)
	}
	wantRefusal(t, callBidi(ctx, client), trat.ReasonInsufficientScope)
}

// caller is a kind of caller, and what becomes of its calls to a method that allows
// the workload gateway with the scope test.
type caller struct {
	name, path string
	values     func(*trattest.Domain) []string
	reason     trat.Reason // "": admitted
}

func callers() []caller {
	good := func(d *trattest.Domain) []string { return []string{d.Raw()} }
	return []caller{
		{"allowed", "gateway", good, ""},
		{"another workload", "billing", good, trat.ReasonPeerDenied},
		{"another workload without a token", "billing", func(*trattest.Domain) []string { return nil }, trat.ReasonPeerDenied},
		{"a path that only begins like the allowed one", "gateway2", good, trat.ReasonPeerDenied},
		{"a path below the allowed one", "gateway/debug", good, trat.ReasonPeerDenied},
		{"allowed, without a token", "gateway", func(*trattest.Domain) []string { return nil }, trat.ReasonTxnTokenMissing},
		{"allowed, with a forged token", "gateway", func(d *trattest.Domain) []string { return []string{d.Broken(trattest.Forged)} }, trat.ReasonTxnTokenInvalid},
		{"allowed, with an expired token", "gateway", func(d *trattest.Domain) []string { return []string{d.Broken(trattest.Expired)} }, trat.ReasonTxnTokenExpired},
		{"allowed, with too little scope", "gateway", func(d *trattest.Domain) []string { return []string{d.Raw(trattest.Scope("other"))} }, trat.ReasonInsufficientScope},
	}
}

// Every method of every registered service, found by reflection over the server, is
// called by every kind of caller, so that no method can be added without a rule that
// holds.
//
// Covers VER-01, SEC-07, SEC-08, ERR-18.
func TestEveryMethodWithEveryCaller(t *testing.T) {
	d := trattest.New(t, domainName)
	rule := interceptors.Require("test").FromCallers(spiffeid.MatchID(d.ID("gateway")))
	g := guard(t, d, interceptors.Rules{
		wholeService:                                  rule,
		"/grpc.testing.UnimplementedService/*":        rule,
		"/grpc.reflection.v1.ServerReflection/*":      rule,
		"/grpc.reflection.v1alpha.ServerReflection/*": rule,
	})
	var ran atomic.Int64
	inner := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		ran.Add(1)
		return next(ctx, req)
	}
	innerStream := func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ran.Add(1)
		return next(srv, stream)
	}
	opts := append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())),
		grpc.ChainUnaryInterceptor(inner), grpc.ChainStreamInterceptor(innerStream))
	srv := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	testpb.RegisterUnimplementedServiceServer(srv, testpb.UnimplementedUnimplementedServiceServer{})
	healthpb.RegisterHealthServer(srv, health.NewServer())
	reflection.Register(srv)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, srv)
	for _, c := range callers() {
		cc := connectAs(t, d, c.path, addr)
		for name, info := range srv.GetServiceInfo() {
			if name == "grpc.health.v1.Health" {
				continue // TestHealthIsExemptByDefaultAndReflectionIsNot
			}
			for _, m := range info.Methods {
				before := ran.Load()
				err := invoke(withToken(callContext(t), c.values(d)...), cc, "/"+name+"/"+m.Name, m)
				if c.reason != "" {
					wantRefusal(t, err, c.reason)
				} else if reason, refused := interceptors.ReasonFrom(err); refused {
					t.Errorf("%s, %s: refused with %s", c.name, m.Name, reason)
				}
				if admitted := ran.Load() > before; admitted != (c.reason == "") {
					t.Errorf("%s, %s: admitted %v", c.name, m.Name, admitted)
				}
			}
		}
	}
}

// invoke calls any method with one empty message and reads to the end.
func invoke(ctx context.Context, cc *grpc.ClientConn, method string, info grpc.MethodInfo) error {
	if !info.IsClientStream && !info.IsServerStream {
		return cc.Invoke(ctx, method, &testpb.Empty{}, &testpb.Empty{})
	}
	desc := &grpc.StreamDesc{ClientStreams: info.IsClientStream, ServerStreams: info.IsServerStream}
	stream, err := cc.NewStream(ctx, desc, method)
	if err != nil {
		return err
	}
	if !info.IsClientStream {
		if err := stream.SendMsg(&testpb.Empty{}); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if err := stream.RecvMsg(&testpb.Empty{}); err != nil {
			return err
		}
	}
}
