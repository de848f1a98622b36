package interceptors_test

import (
	"context"
	"errors"
	"log"
	"net"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

type paymentsService struct {
	shopv1.UnimplementedPaymentsServiceServer
}

func (paymentsService) Charge(ctx context.Context, req *shopv1.ChargeRequest) (*shopv1.ChargeResponse, error) {
	token, _ := trat.FromContext(ctx)           // on whose behalf
	peer, _ := spiffecreds.PeerFromContext(ctx) // who called
	chain, _ := callchain.FromContext(ctx)      // through whom
	log.Println("charge", req.GetAmountCents(), "in", token.TransactionID(), "for", peer.ID)
	for link := range chain.Links() {
		log.Println("by", link.Issuer(), "calling", link.Method())
	}
	return &shopv1.ChargeResponse{ReceiptId: "r-1"}, nil
}

// servePayments puts the rules in force that stand beside the methods in their .proto file;
// nothing without one is served.
func servePayments(lis net.Listener, source *spiffecreds.Source, tts *client.Client) error {
	orders := spiffeid.MatchID(spiffeid.RequireFromString("spiffe://shop.test/orders"))
	creds, err1 := spiffecreds.NewServer(source, source, orders)
	guard, err2 := interceptors.NewServer(
		interceptors.ServerConfig{Verifier: tts.Verifier(), SVIDs: source, Bundles: source},
		interceptors.Rules{}, // more than the .proto file says, if there is more
		interceptors.SingleReplica())
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(creds))...)
	shopv1.RegisterPaymentsServiceServer(server, paymentsService{})
	if err := guard.CheckCoverage(server); err != nil {
		return err
	}
	return server.Serve(lis)
}

// dialPayments returns a client whose calls carry the token of their context: of the
// one that a guard gave to a handler, or of trat.NewContext at the start of a
// transaction.
func dialPayments(source *spiffecreds.Source) (*grpc.ClientConn, error) {
	payments := spiffeid.RequireFromString("spiffe://shop.test/payments")
	creds, err1 := spiffecreds.NewClient(source, source, spiffeid.MatchID(payments))
	carrier, err2 := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: payments.TrustDomain(), SVIDs: source})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return grpc.NewClient("dns:///payments:8443", append(carrier.DialOptions(), grpc.WithTransportCredentials(creds))...)
}

// A server whose every method needs a Transaction Token, over mTLS with SPIFFE
// identities: servePayments. Its own identity comes from the SPIFFE agent, the keys
// that tokens are verified with from the token service.
func ExampleNewServer() {
	source, err := spiffecreds.NewSource(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	tts, err := client.New(client.Config{
		Target: "dns:///tts:8443", ServerID: spiffeid.RequireFromString("spiffe://shop.test/tts"), Issuer: "https://tts.shop.test",
		TrustDomain: spiffeid.RequireTrustDomainFromString("shop.test"), SVIDs: source, Bundles: source,
	})
	if err != nil {
		log.Fatal(err)
	}
	lis, err := net.Listen("tcp", ":8443")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(servePayments(lis, source, tts))
}

// A client that carries the Transaction Token of the request that it works on:
// dialPayments.
func ExampleNewClient() {
	source, err := spiffecreds.NewSource(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	conn, err := dialPayments(source)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background() // in a handler, its own
	_, err = shopv1.NewPaymentsServiceClient(conn).Charge(ctx, &shopv1.ChargeRequest{AmountCents: 1250})
	reason, _ := interceptors.ReasonFrom(err)
	log.Println(reason) // TXN_TOKEN_MISSING: this context is of no transaction
}

// A check that binds a request to what the transaction was started for.
func ExampleCheckOf() {
	agreed := interceptors.CheckOf(func(_ context.Context, token *trat.Token, req *shopv1.ChargeRequest) error {
		if amount, ok := token.TransactionContext().Int64("amount_cents"); !ok || amount != req.GetAmountCents() {
			return errors.New("the amount is not that of the order")
		}
		return nil
	})
	_ = interceptors.Require("order.create").Check(agreed)
}

// Rules about the call chain: what a request must have come through, and how often it may
// be made.
func ExampleRule() {
	orders := spiffeid.MatchID(spiffeid.RequireFromString("spiffe://shop.test/orders"))
	fraud := spiffeid.MatchID(spiffeid.RequireFromString("spiffe://shop.test/fraud-check"))
	_ = interceptors.Rules{
		// Every workload on the way has signed that it was there, the fraud check among them,
		// and each charge of a transaction is made once: for WithOnceStore or SingleReplica.
		"/shop.v1.PaymentsService/Charge": interceptors.Require("order.create").FromCallers(orders).Through(fraud).Once(),
		// At great depth: the caller alone proves that it calls.
		"/shop.v1.StocksService/Reserve": interceptors.Require("order.create").FromCallers(orders).ChainHead(),
	}
}
