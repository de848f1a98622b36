package interceptors_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// smallDefault makes grpc-go accept 8 KiB of headers by default, as it is going to, instead
// of 16 MiB. It is read when a process starts.
const smallDefault = "GRPC_GO_EXPERIMENTAL_ENABLE_8KB_DEFAULT_HEADER_LIST_SIZE"

// The longest chain with a token of 700 bytes gets through a server and a client that leave
// the limit to grpc-go, when that is 8 KiB.
//
// Covers PROP-11, B-T8.
func TestTheLongestChainFitsGRPCsComingDefault(t *testing.T) {
	if os.Getenv(smallDefault) != "true" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), smallDefault+"=true")
		output, err := again.CombinedOutput()
		if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
			t.Errorf("with %s: %v\n%s", smallDefault, err, output)
		}
		return
	}
	d := trattest.New(t, "production.eu-central-1.shop-platform.test")
	var way []string // SPIFFE IDs of 70 bytes and more
	for _, path := range []string{"gateway", "orders", "pricing", "fraud-check", "inventory", "fulfilment"} {
		way = append(way, "ns/checkout/sa/"+path)
	}
	caller, callee := way[callchain.MaxLinks-1], "ns/checkout/sa/payments"
	g := guardOf(t, d, callee, anyScope(), interceptors.InstalledByHand())
	srv := grpc.NewServer(grpc.Creds(d.ServerCredentials(callee, d.Members())),
		grpc.ChainUnaryInterceptor(g.Unary), grpc.ChainStreamInterceptor(g.Stream))
	testpb.RegisterTestServiceServer(srv, &backend{})
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	client := dialCarrierAs(t, d, caller, serve(t, srv), carrierOf(t, d, caller))
	for _, k := range kinds() {
		ctx := d.ChainContext(callContext(t), way[:callchain.MaxLinks-1], caller, k.method,
			trattest.Details(`{"order":"`+strings.Repeat("x", 100)+`"}`))
		token, _ := trat.FromContext(ctx)
		if token.Size() < 700 {
			t.Fatalf("the token has %d bytes", token.Size())
		}
		if err := k.call(ctx, client); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
		wantRefusal(t, k.call(metadata.AppendToOutgoingContext(ctx, "baggage", strings.Repeat("b", 4<<10)), client), trat.ReasonMetadataTooLarge)
	}
	// The limit is there: a call without a carrier does not get that much through.
	big := metadata.AppendToOutgoingContext(callContext(t), "x", strings.Repeat("x", 9<<10))
	if err := callUnary(big, dial(t, serve(t, plainServer(t, d, callee)), d.ClientCredentials(caller, d.Members()))); err == nil {
		t.Error("9 KiB of headers were accepted: the switch is not on")
	}
}

// plainServer is a server without a guard, and with grpc-go's own limits.
func plainServer(t *testing.T, d *trattest.Domain, path string) *grpc.Server {
	t.Helper()
	srv := grpc.NewServer(grpc.Creds(d.ServerCredentials(path, d.Members())))
	testpb.RegisterTestServiceServer(srv, &backend{})
	return srv
}
