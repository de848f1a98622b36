package interceptors_test

import (
	"context"
	"crypto/rand"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// draftClaims make a token like the example of the draft.
func draftClaims() []trattest.TokenOption {
	return []trattest.TokenOption{
		trattest.Lifetime(trat.MaxLifetime), trattest.Scope("trade.stocks"), trattest.Subject("d084sdrt234fsaw34tr23t"),
		trattest.TransactionID("97053963-771d-49cc-a4e3-20aad399c312"),
		trattest.Details(`{"action":"BUY","ticker":"MSFT","quantity":"100"}`),
		trattest.Context(`{"req_ip":"69.151.72.123","authn":"urn:ietf:rfc:6749"}`),
	}
}

// openGuard is a guard of the test service whose coverage was checked.
func openGuard(tb testing.TB, d *trattest.Domain, opts ...interceptors.ServerOption) *interceptors.Server {
	g := guard(tb, d, interceptors.Rules{wholeService: interceptors.Require().ReplayOff()}, opts...)
	srv := grpc.NewServer(g.ServerOptions()...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	if err := g.CheckCoverage(srv); err != nil {
		tb.Fatal(err)
	}
	return g
}

// incoming is a context as grpc-go makes it for a call of method with raw, and with a
// link for it if it is good.
func incoming(tb testing.TB, d *trattest.Domain, method, raw string) context.Context {
	return received(d.PeerContext(tb.Context(), "gateway"), d, method, raw)
}

// received is incoming on the connection that peer is of.
func received(peer context.Context, d *trattest.Domain, method, raw string) context.Context {
	md := metadata.Pairs(
		":authority", "orders", "content-type", "application/grpc", "user-agent", "grpc-go/1.85.0", "txn-token", raw)
	if token, err := d.Verifier().Verify(raw); err == nil {
		md.Set("txn-chain", d.RawChain(token, []string{"gateway"}, "orders", method))
	}
	return metadata.NewIncomingContext(peer, md)
}

// BenchmarkGuardUnary is the guard alone with a token seen before and a chain of one link,
// whose signature it verifies every time, without transport.
func BenchmarkGuardUnary(b *testing.B) {
	d := trattest.New(b, domainName)
	g := openGuard(b, d)
	ctx := incoming(b, d, unaryMethod, d.Raw(draftClaims()...))
	handler := func(context.Context, any) (any, error) { return nil, nil }
	info := &grpc.UnaryServerInfo{FullMethod: unaryMethod}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Unary(ctx, nil, info, handler); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGuardRules is BenchmarkGuardUnary with rules about the request. The difference to
// the first is what they cost.
func BenchmarkGuardRules(b *testing.B) {
	plain := interceptors.Require().ReplayOff()
	bound := func(r interceptors.Rule) interceptors.Rule {
		return r.Bind("response_size", "order.size").Bind("fill_username", "order.named").
			Bind("payload.type", "order.type").Bind("payload.body", "order.body")
	}
	const condition = "tctx.order.size <= 100 && request.response_size > 0"
	for _, tc := range []struct {
		name string
		rule interceptors.Rule
	}{
		{"none", plain},
		{"four bound fields", bound(plain)},
		{"condition", plain.When(condition)},
		{"both", bound(plain).When(condition)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			d := trattest.New(b, domainName)
			g := guard(b, d, interceptors.Rules{wholeService: interceptors.Require(), unaryMethod: tc.rule})
			srv := grpc.NewServer(g.ServerOptions()...)
			testpb.RegisterTestServiceServer(srv, &backend{})
			if err := g.CheckCoverage(srv); err != nil {
				b.Fatal(err)
			}
			ctx := incoming(b, d, unaryMethod, d.Raw(append(draftClaims(), trattest.Details(
				`{"order":{"size":64,"named":true,"type":"COMPRESSABLE","body":"AAEC"},"action":"BUY","ticker":"MSFT","quantity":"100"}`))...))
			req := &testpb.SimpleRequest{
				ResponseSize: 64, FillUsername: true,
				Payload: &testpb.Payload{Type: testpb.PayloadType_COMPRESSABLE, Body: []byte{0, 1, 2}},
			}
			handler := func(context.Context, any) (any, error) { return nil, nil }
			info := &grpc.UnaryServerInfo{FullMethod: unaryMethod}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Unary(ctx, req, info, handler); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGuardRefusal is the guard with a token that its peer's allowance no longer
// covers.
func BenchmarkGuardRefusal(b *testing.B) {
	d := trattest.New(b, domainName)
	g := openGuard(b, d)
	ctx := incoming(b, d, unaryMethod, d.Broken(trattest.Forged, draftClaims()...))
	handler := func(context.Context, any) (any, error) { return nil, nil }
	info := &grpc.UnaryServerInfo{FullMethod: unaryMethod}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Unary(ctx, nil, info, handler); err == nil {
			b.Fatal("a forged token was accepted")
		}
	}
}

// BenchmarkCall is a unary call over loopback TCP with SPIFFE mTLS: bare, bare with
// the bytes of token and chain as metadata, and with guard and carrier, which sign and
// verify a link for each call. The verifier has seen the tokens before; a connection's header compression has not, as they change from call
// to call like those of a service that works on many transactions. The three take short
// turns in changing order, and the ratio is the median over the rounds, so that it
// holds on a machine with other work. cpu-us is the CPU time of both sides.
func BenchmarkCall(b *testing.B) {
	d := trattest.New(b, domainName)
	var bare, bytes, carried []context.Context
	for range 64 { // far more bytes than header compression remembers
		token := d.Token(append(draftClaims(), trattest.TransactionID(rand.Text()+"-5f4e8d2c"))...)
		bare = append(bare, b.Context())
		chain := d.RawChain(token, []string{"gateway"}, "orders", unaryMethod)
		bytes = append(bytes, metadata.NewOutgoingContext(b.Context(), metadata.Pairs("txn-token", token.UnsafeRaw(), "txn-chain", chain)))
		carried = append(carried, trat.NewContext(b.Context(), token))
	}
	variants := []struct {
		name   string
		client testpb.TestServiceClient
		ctx    []context.Context
	}{
		{"bare", dialRaw(b, d, serveBare(b, d)), bare},
		{"bytes", dialRaw(b, d, serveBare(b, d)), bytes},
		{"guarded", dialCarrier(b, d, serveGuarded(b, d, openGuard(b, d), &backend{}), carrier(b, d)), carried},
	}
	const turn = 64
	cpu := make([][]float64, len(variants)) // us per call, by round
	round := 0
	for b.Loop() {
		for i := range variants {
			i = (i + round) % len(variants)
			before := cpuTime(b)
			for j := range turn {
				if err := callUnary(variants[i].ctx[j], variants[i].client); err != nil {
					b.Fatal(err)
				}
			}
			cpu[i] = append(cpu[i], float64((cpuTime(b)-before).Nanoseconds())/1e3/turn)
		}
		round++
	}
	ratios := make([]float64, round)
	for i := range ratios {
		ratios[i] = cpu[2][i] / cpu[1][i]
	}
	for i, v := range variants {
		b.ReportMetric(median(cpu[i]), v.name+"-cpu-us")
	}
	b.ReportMetric(median(ratios), "guarded/bytes")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func serveBare(b *testing.B, d *trattest.Domain) string {
	b.Helper()
	srv := grpc.NewServer(grpc.Creds(d.ServerCredentials("orders", d.Members())), grpc.MaxHeaderListSize(interceptors.DefaultMaxHeaderListSize))
	testpb.RegisterTestServiceServer(srv, &backend{})
	return serve(b, srv)
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
