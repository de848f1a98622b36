package interceptors_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Service b calls service c, which refuses it; a must not take that for a refusal of
// itself.
//
// Covers ERR-16, ERR-18.
func TestADownstreamRefusalIsNotRelayed(t *testing.T) {
	d := trattest.New(t, domainName)
	cAddr := serveAs(t, d, "stocks", guardOf(t, d, "stocks", interceptors.Rules{wholeService: interceptors.Require("never.granted")}), &backend{})
	withCarrier := dialCarrierAs(t, d, "orders", cAddr, carrierOf(t, d, "orders"))
	withoutCarrier := dialAs(t, d, "orders", cAddr)
	newerReason := func(context.Context) error {
		st, err := status.New(codes.PermissionDenied, "x").WithDetails(&errdetails.ErrorInfo{Domain: "trat.v1", Reason: "A_WORD_OF_NEXT_YEAR"})
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	for name, tc := range map[string]struct {
		downstream func(context.Context) error
		relayed    trat.Reason // what b's caller would learn if b relayed
	}{
		"scope":                  {func(ctx context.Context) error { return callUnary(ctx, withCarrier) }, trat.ReasonInsufficientScope},
		"no token":               {func(ctx context.Context) error { return callBidi(ctx, withoutCarrier) }, trat.ReasonTxnTokenMissing},
		"own carrier":            {func(ctx context.Context) error { return callUnary(trat.NewContext(ctx, nil), withCarrier) }, trat.ReasonTxnTokenMissing},
		"wrapped":                {func(ctx context.Context) error { return fmt.Errorf("calling c: %w", callUnary(ctx, withCarrier)) }, trat.ReasonInsufficientScope},
		"joined":                 {func(ctx context.Context) error { return errors.Join(errors.New("two"), callUnary(ctx, withCarrier)) }, trat.ReasonInsufficientScope},
		"a reason of the future": {newerReason, ""},
	} {
		t.Run(name, func(t *testing.T) {
			svc := &backend{handle: tc.downstream}
			b := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc))
			exempt := dialRaw(t, d, serveGuarded(t, d, guard(t, d, eachMethod(interceptors.Exempt("public"))), svc))
			relaying := dialRaw(t, d, serveGuarded(t, d, guard(t, d, interceptors.Rules{wholeService: interceptors.Require().RelayDownstream()}), svc))
			marked := &backend{handle: func(ctx context.Context) error { return interceptors.Relay(tc.downstream(ctx)) }}
			marking := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), marked))
			for _, k := range kinds() {
				wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), b), trat.ReasonDownstreamRejected)
				if name != "scope" {
					continue
				}
				wantRefusal(t, k.call(callContext(t), exempt), trat.ReasonDownstreamRejected)
				wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), relaying), tc.relayed)
				wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), marking), tc.relayed)
			}
		})
	}
}

// Service b calls service c, which has no keys or was not set up; a must look for that
// at c.
func TestADownstreamOutageIsNotRelayed(t *testing.T) {
	d := trattest.New(t, domainName)
	serviceC := guard(t, d, anyScope())
	srv := grpc.NewServer(append(serviceC.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	unchecked := dialCarrierAs(t, d, "orders", serve(t, srv), carrierOf(t, d, "orders"))
	callC := func(ctx context.Context) error { return callUnary(ctx, unchecked) }

	s := newSinks()
	svc := &backend{handle: callC}
	b := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope(), interceptors.WithLogger(s.logger)), svc))
	relaying := dialRaw(t, d, serveGuarded(t, d, guard(t, d, interceptors.Rules{wholeService: interceptors.Require().RelayDownstream()}), svc))
	marked := &backend{handle: func(ctx context.Context) error { return interceptors.Relay(callC(ctx)) }}
	marking := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), marked))
	for _, k := range kinds() {
		wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), b), trat.ReasonDependencyUnavailable)
		wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), relaying), trat.ReasonCoverageUnchecked)
		wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), marking), trat.ReasonCoverageUnchecked)
	}
	if log := s.log.String(); !strings.Contains(log, "a called service was not able to judge") || !strings.Contains(log, "COVERAGE_UNCHECKED") {
		t.Errorf("not in the log:\n%s", log)
	}
}

// Covers ERR-16.
func TestOtherErrorsOfHandlersPassUnchanged(t *testing.T) {
	d := trattest.New(t, domainName)
	for name, handlerErr := range map[string]error{
		"own refusal":            status.Error(codes.PermissionDenied, "you are under age"),
		"own authentication":     status.Error(codes.Unauthenticated, "no user session"),
		"other code":             status.Error(codes.NotFound, "no such order"),
		"no status":              errors.New("broken"),
		"other domain's details": withInfo(t, codes.PermissionDenied, "shop.example"),
		"not a refusal":          withInfo(t, codes.ResourceExhausted, "trat.v1"),
		"own outage":             status.Error(codes.Unavailable, "the database is away"),
		"other domain's outage":  withInfo(t, codes.Unavailable, "shop.example"),
	} {
		t.Run(name, func(t *testing.T) {
			svc := &backend{handle: func(context.Context) error { return handlerErr }}
			client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc))
			for _, k := range kinds() {
				err := k.call(withToken(callContext(t), d.Raw()), client)
				if got, want := status.Convert(err), status.Convert(handlerErr); got.Code() != want.Code() || got.Message() != want.Message() {
					t.Errorf("%s: %v, want %v", k.name, got, want)
				}
			}
		})
	}
}

func withInfo(t *testing.T, code codes.Code, domain string) error {
	st, err := status.New(code, "x").WithDetails(&errdetails.ErrorInfo{Domain: domain, Reason: "QUOTA"})
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func TestRelayOfNothingIsNothing(t *testing.T) {
	if err := interceptors.Relay(nil); err != nil {
		t.Error(err)
	}
	cause := status.Error(codes.NotFound, "x")
	if err := interceptors.Relay(cause); !errors.Is(err, cause) || status.Convert(err).Message() != "x" {
		t.Errorf("relayed: %v", err)
	}
}
