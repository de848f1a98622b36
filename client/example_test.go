package client_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// exampleTB stands for the testing.T that an example does not have.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (*exampleTB) Helper()            {}
func (e *exampleTB) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }
func (*exampleTB) Fatal(args ...any)  { log.Panic(args...) }
func (*exampleTB) Error(args ...any)  { log.Print(args...) }
func (*exampleTB) Fatalf(format string, args ...any) {
	log.Panicf(format, args...)
}

func (e *exampleTB) close() {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
}

// A gateway turns its user's access token into a transaction. In production the
// source is a spiffecreds.Source, and the rest is configuration.
func ExampleNew() {
	tb := new(exampleTB)
	defer tb.close()
	domain := trattest.New(tb, "shop.test")
	target := "passthrough:///" + startTTS(tb, domain).addr
	source := domain.Source("gateway")

	tts, err := client.New(client.Config{
		Target:      target,
		Issuer:      "https://tts.shop.test",
		ServerID:    spiffeid.RequireFromString("spiffe://shop.test/tts"),
		TrustDomain: spiffeid.RequireTrustDomainFromString("shop.test"),
		SVIDs:       source,
		Bundles:     source,
	})
	if err != nil {
		log.Panic(err)
	}
	defer tts.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	token, err := tts.Exchange(ctx, client.Request{
		SubjectToken:     "the user's access token",
		SubjectTokenType: client.AccessToken,
		Scope:            "order.create",
	})
	if err != nil {
		log.Panic(err)
	}
	ctx = trat.NewContext(ctx, token) // calls made with ctx belong to the transaction

	current, _ := trat.FromContext(ctx)
	fmt.Println(current.Scope(), "for", current.Audience(), "by", current.RequestingWorkload())
	// Output: order.create for shop.test by spiffe://shop.test/gateway
}

// The parameters of a transaction are what its requests have to be: the fields that the
// called service's proto file binds.
func ExampleDetailsFrom() {
	details, err := client.DetailsFrom(&shopv1.ReserveRequest{Sku: "teapot", Quantity: 2})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(details.JSON())
	_, err = client.DetailsFrom(&shopv1.WatchReservationRequest{ReservationId: "r-1"})
	fmt.Println(err)
	// Output:
	// {"sku":"teapot","quantity":2}
	// client: details: PARAMETER_INVALID: shop.v1.WatchReservationRequest has no field that is bound by equality
}

// A job that takes all night: each unit is a transaction, and none outlives its TraT.
func ExampleClient_Transact() {
	settle := func(ctx context.Context, tts *client.Client, orders []string) error {
		for _, order := range orders {
			subject, err := tts.SignSubject(client.Subject{Name: "nightly-settlement"})
			if err != nil {
				return err
			}
			request := client.Request{SubjectToken: subject, SubjectTokenType: client.SelfSigned, Scope: "order.settle", RequestID: order}
			err = tts.Transact(ctx, request, func(ctx context.Context) error {
				token, _ := trat.FromContext(ctx)
				log.Println(order, "is settled in", token.TransactionID())
				return nil // after calls with ctx
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	_ = settle
}

// A stream that is closed when its TraT expires is opened again in a new transaction, and
// goes on behind the last message.
func ExampleClient_Reopen() {
	follow := func(ctx context.Context, tts *client.Client, stocks shopv1.StocksServiceClient) error {
		request := func(context.Context) (client.Request, error) {
			subject, err := tts.SignSubject(client.Subject{Name: "dashboard"})
			return client.Request{SubjectToken: subject, SubjectTokenType: client.SelfSigned, Scope: "order.create"}, err
		}
		return tts.Reopen(ctx, request, func(ctx context.Context) error {
			stream, err := stocks.WatchReservation(ctx, &shopv1.WatchReservationRequest{ReservationId: "r-1"})
			if err != nil {
				return err
			}
			for {
				update, err := stream.Recv()
				if err != nil {
					return err
				}
				log.Println("the reservation is", update.GetState())
			}
		})
	}
	_ = follow
}
