package server_test

import (
	"context"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	issuer       = servertest.Issuer
	subjectToken = servertest.SubjectToken
)

var (
	trustDomain = servertest.TrustDomain
	tts         = servertest.TTS
	gateway     = servertest.Gateway
	longRunner  = servertest.LongRunner
	stranger    = servertest.Stranger
	tax         = servertest.Tax
	batch       = servertest.Batch
	desk        = servertest.Desk
)

// fixture is a World whose calls over gRPC are traced.
type fixture struct {
	*servertest.World
	spans ended
}

// newFixture makes the Server, with what changes does to its Config. Its signing key is
// active.
func newFixture(t testing.TB, changes ...func(*server.Config)) *fixture {
	t.Helper()
	return &fixture{
		World: servertest.New(t, changes...),
		spans: make(ended, 1<<12), // more than any test makes
	}
}

// serve starts a gRPC server on a real socket, and returns its address.
func (f *fixture) serve(t *testing.T) string {
	t.Helper()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(f.spans))
	return f.ServeGRPC(t, grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(tracer))))
}

// dial connects as workload id.
func (f *fixture) dial(t *testing.T, address string, id spiffeid.ID) tratv1.TokenServiceClient {
	t.Helper()
	return f.DialGRPC(t, address, id)
}

// as returns a context as a handler has it when workload id calls.
func (f *fixture) as(t testing.TB, id spiffeid.ID) context.Context {
	t.Helper()
	return f.As(t, id)
}

// verify checks token as every workload does.
func (f *fixture) verify(t *testing.T, token string) *trat.Token {
	t.Helper()
	return f.Verify(t, token)
}

// goodRequest is granted by the World's policy.
func goodRequest() *tratv1.ExchangeRequest { return servertest.GoodRequest() }
