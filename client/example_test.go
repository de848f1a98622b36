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
