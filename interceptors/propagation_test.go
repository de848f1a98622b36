package interceptors_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers PROP-04, PRIV-02.
func TestTheTokenIsTheSameFiveHopsOn(t *testing.T) {
	d := trattest.New(t, domainName)
	var mu sync.Mutex
	var seen []string // fingerprints as the hops verified them, last hop first to finish
	var next testpb.TestServiceClient
	for hop := 5; hop >= 1; hop-- {
		after, path := next, fmt.Sprintf("hop-%d", hop)
		caller := "gateway"
		if hop > 1 {
			caller = fmt.Sprintf("hop-%d", hop-1)
		}
		svc := &backend{handle: func(ctx context.Context) error {
			token, _ := trat.FromContext(ctx)
			mu.Lock()
			seen = append(seen, token.Fingerprint())
			mu.Unlock()
			if after == nil {
				return nil
			}
			// Hops of different kinds, so that all carry on.
			return kinds()[hop%len(kinds())].call(ctx, after)
		}}
		addr := serveAs(t, d, path, guardOf(t, d, path, anyScope()), svc)
		next = dialCarrierAs(t, d, caller, addr, carrierOf(t, d, caller))
	}
	raw := d.Raw()
	token, err := d.Verifier().Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := callUnary(trat.NewContext(callContext(t), token), next); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(raw))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	if len(seen) != 5 {
		t.Fatalf("%d hops", len(seen))
	}
	for i, got := range seen {
		if got != want {
			t.Errorf("hop %d: fingerprint %s, want %s", i+1, got, want)
		}
	}
}

// Covers PROP-06, VER-23.
func TestParallelRequestsDoNotMixTheirTokens(t *testing.T) {
	const requests, fanOut = 1000, 10
	d := trattest.New(t, domainName)
	var calls atomic.Int64
	// Whoever handles a request compares its transaction with that which the request
	// itself names.
	sameTransaction := func(ctx context.Context, req *testpb.SimpleRequest) error {
		calls.Add(1)
		token, ok := trat.FromContext(ctx)
		if !ok || token.TransactionID() != string(req.GetPayload().GetBody()) {
			return status.Errorf(codes.DataLoss, "transaction %q in the call of %q", token.TransactionID(), req.GetPayload().GetBody())
		}
		return nil
	}
	leafAddr := serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), unaryFunc{handle: sameTransaction})
	leaf := dialCarrierAs(t, d, "orders", leafAddr, carrierOf(t, d, "orders"))
	middle := unaryFunc{handle: func(ctx context.Context, req *testpb.SimpleRequest) error {
		if err := sameTransaction(ctx, req); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		for range fanOut {
			group.Go(func() error {
				_, err := leaf.UnaryCall(ctx, req)
				return err
			})
		}
		return group.Wait()
	}}
	middleAddr := serveGuarded(t, d, guard(t, d, anyScope()), middle)
	client := dialCarrier(t, d, middleAddr, carrier(t, d))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // under the race detector, on a busy machine
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for i := range requests {
		txn := fmt.Sprintf("txn-%d", i)
		token := d.Token(trattest.TransactionID(txn), trattest.Lifetime(trat.MaxLifetime)) // which bounds the call too
		group.Go(func() error {
			_, err := client.UnaryCall(trat.NewContext(ctx, token), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(txn)}})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if got := calls.Load(); got != requests*(1+fanOut) {
		t.Errorf("%d calls were handled, want %d", got, requests*(1+fanOut))
	}
}

// unaryFunc is a service of one unary method.
type unaryFunc struct {
	testpb.UnimplementedTestServiceServer
	handle func(context.Context, *testpb.SimpleRequest) error
}

func (f unaryFunc) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if err := f.handle(ctx, req); err != nil {
		return nil, err
	}
	return &testpb.SimpleResponse{}, nil
}

// Covers VER-23.
func TestWhatAHandlerChangesStaysWithIt(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{handle: func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		md.Set("x-request-id", "changed")
		md.Set("txn-token", "changed")
		again, _ := metadata.FromIncomingContext(ctx)
		if got := again.Get("x-request-id"); len(got) != 1 || got[0] != "7" || len(again.Get("txn-token")) != 0 {
			t.Errorf("metadata after a change of a copy: %v", again)
		}
		return nil
	}}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc))
	for _, k := range kinds() {
		ctx := metadata.AppendToOutgoingContext(withToken(callContext(t), d.Raw()), "x-request-id", "7")
		if err := k.call(ctx, client); err != nil {
			t.Error(err)
		}
	}
}

// Covers PROP-08.
func TestTheEdgeDropsWhatOutsidersSend(t *testing.T) {
	d := trattest.New(t, domainName)
	r, insideAddr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	inside := dialCarrier(t, d, insideAddr, carrier(t, d))
	issued := d.Token()
	edge, err := interceptors.NewEdge(interceptors.WithLogger(quiet()), interceptors.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	svc := &backend{handle: func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		if len(md.Get("txn-token"))+len(md.Get("txn-chain")) != 0 {
			t.Error("an outsider's header reached the handler")
		}
		if got := md.Get("authorization"); len(got) != 1 {
			t.Errorf("authorization: %v", got)
		}
		if _, ok := trat.FromContext(ctx); ok {
			t.Error("an outsider's token counts")
		}
		return callUnary(trat.NewContext(ctx, issued), inside)
	}}
	serverCreds, clientCreds := ordinaryTLS(t)
	outside := dial(t, serveEdge(t, edge, serverCreds, svc), clientCreds)
	for i, k := range kinds() {
		ctx := metadata.AppendToOutgoingContext(withToken(callContext(t), d.Raw(), "x"),
			"txn-chain", "forged", "authorization", "Bearer of-the-user")
		if err := k.call(ctx, outside); err != nil {
			t.Fatal(err)
		}
		md, n := r.last()
		if got := md.Get("txn-token"); n != i+1 || len(got) != 1 || got[0] != issued.UnsafeRaw() {
			t.Errorf("%s: inside, %d calls and %d tokens", k.name, n, len(got))
		}
		chain := md.Get("txn-chain")
		if len(md.Get("authorization")) != 0 || len(chain) != 1 || chain[0] == "forged" {
			t.Errorf("%s: outside metadata went inside, or the gateway's own link did not", k.name)
		}
	}
	// What the inside says about the gateway is not said to the outsider.
	d.Advance(trat.DefaultLifetime)
	for _, k := range kinds() {
		ctx := metadata.AppendToOutgoingContext(callContext(t), "authorization", "Bearer of-the-user")
		wantRefusal(t, k.call(ctx, outside), trat.ReasonDownstreamRejected)
	}
}
