package httptoken_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const issuer = servertest.Issuer

// patience is for machines that have much else to do.
const patience = 2 * time.Minute

var (
	trustDomain = servertest.TrustDomain
	tts         = servertest.TTS
	gateway     = servertest.Gateway
	stranger    = servertest.Stranger
)

const subjectToken = servertest.SubjectToken

// fixture is one token service behind both front ends.
type fixture struct {
	*servertest.World
	spans *tracetest.InMemoryExporter
}

// newFixture makes the service, with what changes does to its Config.
func newFixture(t testing.TB, changes ...func(*server.Config)) *fixture {
	t.Helper()
	return newFixtureAt(t, servertest.Start, changes...)
}

// newFixtureAt is newFixture at a time for others who look at their own clock.
func newFixtureAt(t testing.TB, now time.Time, changes ...func(*server.Config)) *fixture {
	t.Helper()
	return &fixture{World: servertest.At(t, now, changes...), spans: tracetest.NewInMemoryExporter()}
}

// config is that of a handler for the fixture's service.
func (f *fixture) config() httptoken.Config {
	return httptoken.Config{
		Issuer:         issuer,
		Service:        f.Server,
		RequestTimeout: patience,
		Keys:           f.Ring,
		Logger:         f.Logger,
		Clock:          f.Clock.Now,
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(f.spans)),
		MeterProvider:  f.Meters,
		Propagator:     propagation.TraceContext{},
	}
}

func (f *fixture) handler(t testing.TB, changes ...func(*httptoken.Config)) http.Handler {
	t.Helper()
	cfg := f.config()
	for _, change := range changes {
		change(&cfg)
	}
	h, err := httptoken.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func listenLoopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveHTTP serves the fixture as tratd would, but with more patience, and returns the
// address.
func (f *fixture) serveHTTP(t testing.TB, changes ...func(*httptoken.ServerConfig)) string {
	t.Helper()
	cfg := httptoken.ServerConfig{
		Credentials:      f.ServerCredentials(t, spiffecreds.WithHTTP1()),
		Logger:           f.Logger,
		ReadTimeout:      patience,
		WriteTimeout:     patience,
		IdleTimeout:      patience,
		MaxConnectionAge: patience,
	}
	for _, change := range changes {
		change(&cfg)
	}
	if cfg.Handler == nil {
		cfg.Handler = f.handler(t)
	}
	s, err := httptoken.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := listenLoopback(t)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel() // now, not when idle clients have gone
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// goodRequest is granted by the World's policy, and has what must survive a form.
func goodRequest() *tratv1.ExchangeRequest {
	r := servertest.GoodRequest()
	r.RequestId = ""
	r.RequestDetails = `{"order_id": 9007199254740993, "note": "grün & rot; 100 % +"}`
	return r
}
