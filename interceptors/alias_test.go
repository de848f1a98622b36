package interceptors_test

import (
	"testing"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const aliasService = "/alias.v1.AdminService/"

// alias is the generated description of the test service under another name.
func alias(metadata any) *grpc.ServiceDesc {
	desc := testpb.TestService_ServiceDesc
	desc.ServiceName, desc.Metadata = "alias.v1.AdminService", metadata
	return &desc
}

// What is registered under two names has the rule of the name that is called, of every kind:
// the name in the generated code of a unary method does not count.
//
// Covers VER-18, VER-22.
func TestAServiceUnderAnotherNameHasTheRuleOfThatName(t *testing.T) {
	d := trattest.New(t, domainName)
	public, admin := &backend{}, &backend{}
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require("test"), aliasService + "*": interceptors.Require("admin")})
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	testpb.RegisterTestServiceServer(srv, public)
	srv.RegisterService(alias(nil), admin)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	cc := connectAs(t, d, "gateway", serve(t, srv))
	for _, m := range srv.GetServiceInfo()["alias.v1.AdminService"].Methods {
		for _, signed := range []string{service, aliasService} { // the method that the link is for
			token := d.Token(trattest.Scope("test"))
			ctx := withChain(callContext(t), token, d.RawChain(token, []string{"gateway"}, "orders", signed+m.Name))
			wantRefusal(t, invoke(ctx, cc, aliasService+m.Name, m), trat.ReasonInsufficientScope)
		}
	}
	if ran := admin.ran.Load(); ran != 0 {
		t.Errorf("%d handlers ran", ran)
	}
	ctx := withToken(callContext(t), d.Raw(trattest.Scope("admin")))
	if err := cc.Invoke(ctx, aliasService+"UnaryCall", &testpb.SimpleRequest{}, &testpb.SimpleResponse{}); err != nil || admin.ran.Load() != 1 {
		t.Errorf("with the scope: %v", err)
	}
	if ran := public.ran.Load(); ran != 0 {
		t.Errorf("%d handlers of the other name ran", ran)
	}
}

// A service whose proto file is linked in, but knows it by another name, would have none of
// the rules that stand there.
//
// Covers VER-18, VER-22.
func TestAServiceUnderAnotherNameThanInItsProtoFileIsReported(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := declare(t, byDefault(`scopes: "a"`), "", "", bound)
	pkg := svc[:len(svc)-len(".Svc")]
	on := func(metadata any) services {
		all := registered(svc)
		all["pkg.Alias"] = grpc.ServiceInfo{Methods: all[svc].Methods, Metadata: metadata}
		return all
	}
	for name, tc := range map[string]struct {
		metadata any
		want     []string
	}{
		"its proto file":         {pkg + ".proto", []string{`service "pkg.Alias" is not in its proto file`}},
		"one that is not linked": {"pkg/alias.proto", nil},
		"none":                   {nil, nil},
		"not a name":             {[]byte(pkg), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(t, d, interceptors.Rules{"/pkg.Alias/*": interceptors.Require()}, interceptors.InstalledByHand())
			err := g.CheckCoverage(on(tc.metadata))
			if tc.want != nil {
				wantProblems(t, err, tc.want...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
