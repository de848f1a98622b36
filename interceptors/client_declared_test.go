package interceptors_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// storefront answers with the transaction that it is called in.
type storefront struct {
	shopv1.UnimplementedStorefrontServiceServer
}

func (storefront) PlaceOrder(ctx context.Context, _ *shopv1.PlaceOrderRequest) (*shopv1.PlaceOrderResponse, error) {
	token, _ := trat.FromContext(ctx)
	return &shopv1.PlaceOrderResponse{OrderId: token.TransactionID()}, nil
}

// Covers PROP-09.
func TestExemptMethodIsCalledWithoutAToken(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, interceptors.Rules{})
	var arrived []string
	record := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		arrived = metadata.ValueFromIncomingContext(ctx, "txn-token")
		return handler(ctx, req)
	}
	srv := grpc.NewServer(append([]grpc.ServerOption{
		grpc.ChainUnaryInterceptor(record), grpc.Creds(d.ServerCredentials("orders", d.Members())),
	}, g.ServerOptions()...)...)
	shopv1.RegisterStorefrontServiceServer(srv, storefront{})
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	client := shopv1.NewStorefrontServiceClient(
		connect(t, serve(t, srv), d.ClientCredentials("gateway", d.Members()), carrier(t, d).DialOptions()...))
	if _, err := client.PlaceOrder(callContext(t), &shopv1.PlaceOrderRequest{}); err != nil || len(arrived) != 0 {
		t.Errorf("without a token %d arrived: %v", len(arrived), err)
	}
	if _, err := client.PlaceOrder(d.Context(callContext(t)), &shopv1.PlaceOrderRequest{}); err != nil || len(arrived) != 1 {
		t.Errorf("with a token %d arrived: %v", len(arrived), err)
	}
	expired := d.Context(callContext(t), trattest.Lifetime(time.Second))
	d.Advance(time.Second)
	_, err := client.PlaceOrder(expired, &shopv1.PlaceOrderRequest{})
	wantRefusal(t, err, trat.ReasonTxnTokenExpired)
}

// Only what stands beside the method makes it exempt, and nothing that cannot be read.
//
// Covers PROP-09.
func TestOnlyExemptMethodsAreCalledWithoutAToken(t *testing.T) {
	if err := declareStreams(); err != nil {
		t.Fatal(err)
	}
	d := trattest.New(t, domainName)
	c := carrier(t, d)
	for method, exempt := range map[string]bool{
		declaredStreams + "Exempt": true,
		declaredStreams + "Silent": false,
		declaredStreams + "Wrong":  false,
		declaredStreams + "None":   false,
		bidiStreaming:              false,
		"/a.B/C":                   false,
		"/grpc.testing/Empty":      false,
		"x":                        false,
	} {
		for range 2 { // the second time it is known
			err := run(t.Context(), c, &outgoing{err: io.EOF}, method, streamsBoth, nil)
			if exempt {
				if err != io.EOF { //nolint:errorlint // as the test gave it
					t.Errorf("%s: %v", method, err)
				}
				continue
			}
			wantRefusal(t, err, trat.ReasonTxnTokenMissing)
		}
	}
}
