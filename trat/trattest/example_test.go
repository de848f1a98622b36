package trattest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// createOrder is a handler under test: it may rely on the token that the guard
// verified.
func createOrder(ctx context.Context) string {
	token, ok := trat.FromContext(ctx)
	if !ok {
		return "no transaction"
	}
	quantity, _ := token.TransactionContext().Int64("quantity")
	return fmt.Sprintf("%d for %s", quantity, token.Subject())
}

// t stands for the test's own *testing.T, which an example does not have.
var t = exampleTB{}

type exampleTB struct{ testing.TB }

func (exampleTB) Helper()                           {}
func (exampleTB) Cleanup(func())                    {}
func (exampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func ExampleNew() {
	d := trattest.New(t, "shop.test")
	ctx := d.Context(context.Background(),
		trattest.Subject("user-7"), trattest.Scope("order.create"), trattest.Details(`{"quantity":3}`))
	fmt.Println(createOrder(ctx))
	// Output: 3 for user-7
}

// deliver is a handler that wants to know through whom a request came.
func deliver(ctx context.Context) string {
	chain, ok := callchain.FromContext(ctx)
	if !ok {
		return "nobody has signed"
	}
	var through []string
	for link := range chain.Links() {
		through = append(through, link.Issuer().Path())
	}
	return "called through " + strings.Join(through, ", ")
}

func ExampleDomain_ChainContext() {
	d := trattest.New(t, "shop.test")
	ctx := d.ChainContext(context.Background(), []string{"gateway", "orders"}, "stock", "/shop.v1.StockService/Deliver",
		trattest.Scope("order.create"))
	fmt.Println(deliver(ctx))
	// Output: called through /gateway, /orders
}

func ExampleDomain_Advance() {
	d := trattest.New(t, "shop.test")
	raw := d.Raw()
	d.Advance(trat.MaxLifetime)
	_, err := d.Verifier().Verify(raw)
	fmt.Println(err)
	// Output: TXN_TOKEN_EXPIRED: exp
}

func ExampleDomain_Broken() {
	d := trattest.New(t, "shop.test")
	for _, flaw := range []trattest.Flaw{trattest.Forged, trattest.WrongAudience, trattest.MissingSubject} {
		_, err := d.Verifier().Verify(d.Broken(flaw))
		reason, _ := trat.ReasonOf(err)
		fmt.Printf("%s: %s\n", flaw, reason)
	}
	// Output:
	// forged: TXN_TOKEN_INVALID
	// wrong aud: TXN_TOKEN_AUDIENCE
	// missing sub: TXN_TOKEN_MALFORMED
}
