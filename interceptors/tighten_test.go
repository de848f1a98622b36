package interceptors_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

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
	got := []interceptors.Enforcement{g.MethodRules()[0].Enforcement, g.MethodRules()[1].Enforcement}
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

// A stream that a strict rule would not have let open, and that only the mode let open, ends
// with its next message when the mode has become strict, whatever the message is.
//
// Covers VER-21.
func TestStreamsThatStrictModeHadRefusedEndWhenItComes(t *testing.T) {
	d := trattest.New(t, domainName)
	rule := interceptors.Require("test").FromCallers(d.Only("gateway")).When("sub != 'nobody'")
	for name, tc := range map[string]struct {
		caller string
		opts   []trattest.TokenOption
		reason trat.Reason // "": the stream goes on
	}{
		"nothing wrong": {"gateway", nil, ""},
		"scope":         {"gateway", []trattest.TokenOption{trattest.Scope("other")}, trat.ReasonInsufficientScope},
		"condition":     {"gateway", []trattest.TokenOption{trattest.Subject("nobody")}, trat.ReasonPolicyDenied},
		"caller":        {"billing", []trattest.TokenOption{trattest.Requester(d.ID("billing").String())}, trat.ReasonPeerDenied},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSinks()
			g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: rule},
				inMode(interceptors.EnforcePresence), interceptors.WithMeterProvider(s.meters))
			cc := connectAs(t, d, tc.caller, serveGuarded(t, d, g, &streamer{handle: echo}))
			stream := (&streamTest{Domain: d, cc: cc}).open(t, callContext(t), bidiStreaming, tc.opts...)
			roundTrip(t, stream)
			if err := g.Tighten(bidiStreaming, interceptors.EnforceStrict); err != nil {
				t.Fatal(err)
			}
			if tc.reason == "" {
				roundTrip(t, stream)
				return
			}
			if err := stream.SendMsg(&testpb.StreamingOutputCallRequest{}); err != nil {
				t.Fatal(err)
			}
			wantRefusal(t, result(stream), tc.reason)
			about := "error.type=" + string(tc.reason) + ",rpc.method=" + strings.TrimPrefix(bidiStreaming, "/")
			want := []string{about + ",txn_token.mode=presence,txn_token.result=would_deny 1", about + ",txn_token.mode=strict,txn_token.result=denied 1"}
			if diff := cmp.Diff(want, s.points(t, "txn_token.server.verifications")); diff != "" {
				t.Errorf("verifications (-want +got):\n%s", diff)
			}
		})
	}
}

// Streams that were opened before another coverage check are tightened like those after it.
//
// Covers VER-21.
func TestTighteningReachesStreamsFromBeforeAnotherCoverageCheck(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, anyScope(), inMode(interceptors.EnforceShadow))
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	testpb.RegisterTestServiceServer(srv, &streamer{handle: echo})
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	stream, err := dialRaw(t, d, serve(t, srv)).FullDuplexCall(callContext(t))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, stream)
	if err := errors.Join(g.CheckCoverage(srv), g.Tighten(bidiStreaming, interceptors.EnforceStrict)); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, result(stream), trat.ReasonTxnTokenMissing)
}
