package tratotel_test

import (
	"context"
	"fmt"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/grpc-trat/grpc-trat/trat/tratotel"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// t stands for the test's own *testing.T, which an example does not have.
var t = exampleTB{}

type exampleTB struct{ testing.TB }

func (exampleTB) Helper()                           {}
func (exampleTB) Cleanup(func())                    {}
func (exampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A span of a program's own, under the token that a guard has put into the context.
func ExampleNewSpanProcessor() {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(tratotel.NewSpanProcessor()),
		sdktrace.WithSyncer(exporter),
	)

	ctx := trattest.New(t, "shop.test").Context(context.Background(), trattest.TransactionID("97053963-771d"))
	_, span := provider.Tracer("orders").Start(ctx, "SELECT stocks")
	span.End()

	for _, s := range exporter.GetSpans() {
		fmt.Println(s.Name, s.Attributes[0].Key, s.Attributes[0].Value.String())
	}
	// Output: SELECT stocks txn_token.txn 97053963-771d
}
