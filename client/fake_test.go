package client_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// secret is in every subject token of these tests and may be in no output.
const secret = "eyJzdWJqZWN0LXRva2VuIn0"

// watchTrouble begins what the watch logs about a stream that failed.
const watchTrouble = "the watch of the token service's keys"

// fakeTTS speaks the real protocol over real SPIFFE mTLS; what it says is up to the
// test. It can be stopped and started again at the same address.
type fakeTTS struct {
	tratv1.UnimplementedTokenServiceServer
	t      testing.TB
	domain *trattest.Domain
	creds  credentials.TransportCredentials
	addr   string
	stop   func()

	// exchange answers Exchange; the default issues what is asked for.
	exchange atomic.Pointer[exchangeFunc]
	// rpcs and conns count what got through to the server.
	rpcs, conns atomic.Int64

	mu       sync.Mutex
	latest   *tratv1.WatchKeysResponse
	watchers map[chan *tratv1.WatchKeysResponse]bool
}

type exchangeFunc func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error)

// startTTS starts the token service of d with version 1 of its keys.
func startTTS(t testing.TB, d *trattest.Domain) *fakeTTS {
	t.Helper()
	return startTTSAs(t, d, d.ServerCredentials("tts", d.Members()))
}

// startTTSAs starts one that proves itself with creds, whatever they prove.
func startTTSAs(t testing.TB, d *trattest.Domain, creds credentials.TransportCredentials) *fakeTTS {
	t.Helper()
	f := &fakeTTS{
		t: t, domain: d, creds: creds, addr: "127.0.0.1:0",
		watchers: make(map[chan *tratv1.WatchKeysResponse]bool),
	}
	f.answer(f.issue)
	f.publish(f.keys(1))
	f.start()
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *fakeTTS) start() {
	f.t.Helper()
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.addr = listener.Addr().String()
	server := grpc.NewServer(grpc.Creds(f.creds), grpc.StatsHandler(counter{f}))
	tratv1.RegisterTokenServiceServer(server, f)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	f.stop = sync.OnceFunc(func() {
		server.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			f.t.Error(err)
		}
	})
}

// counter counts connections and RPCs that reach the server.
type counter struct{ f *fakeTTS }

func (c counter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	c.f.rpcs.Add(1)
	return ctx
}

func (c counter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	c.f.conns.Add(1)
	return ctx
}
func (counter) HandleRPC(context.Context, stats.RPCStats)   {}
func (counter) HandleConn(context.Context, stats.ConnStats) {}

// keys is a good message with the domain's present keys.
func (f *fakeTTS) keys(version uint64) *tratv1.WatchKeysResponse {
	return &tratv1.WatchKeysResponse{
		Issuer:  f.domain.Issuer(),
		Version: version,
		Jwks:    string(f.domain.JWKS()),
		MaxAge:  durationpb.New(10 * time.Minute),
	}
}

// publish sends m to all who watch and, at once, to all who will.
func (f *fakeTTS) publish(m *tratv1.WatchKeysResponse) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest = m
	for w := range f.watchers {
		w <- m
	}
}

// watching is how many watch.
func (f *fakeTTS) watching() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

func (f *fakeTTS) WatchKeys(_ *tratv1.WatchKeysRequest, stream grpc.ServerStreamingServer[tratv1.WatchKeysResponse]) error {
	messages := make(chan *tratv1.WatchKeysResponse, 64)
	f.mu.Lock()
	if f.latest != nil {
		messages <- f.latest
	}
	f.watchers[messages] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, messages)
	}()
	for {
		select {
		case m := <-messages:
			if m == nil { // told to end the stream
				return nil
			}
			if err := stream.Send(m); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (f *fakeTTS) answer(e exchangeFunc) { f.exchange.Store(&e) }

func (f *fakeTTS) Exchange(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	return (*f.exchange.Load())(ctx, r)
}

// issue grants what is asked for to the gateway. The subject is in the request id, so
// that concurrent requests can be told apart.
func (f *fakeTTS) issue(_ context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	opts := []trattest.TokenOption{trattest.Scope(r.GetScope())}
	if r.GetRequestId() != "" {
		opts = append(opts, trattest.Subject(r.GetRequestId()))
	}
	return respond(f.domain.Raw(opts...), r.GetScope()), nil
}

// respond is a good answer.
func respond(raw, scope string) *tratv1.ExchangeResponse {
	return &tratv1.ExchangeResponse{
		AccessToken:     raw,
		IssuedTokenType: trat.TokenType,
		TokenType:       "N_A",
		ExpiresIn:       15,
		Scope:           scope,
	}
}

// config is a correct Config of the gateway.
func (f *fakeTTS) config() client.Config {
	source := f.domain.Source("gateway")
	return client.Config{
		Target:      "passthrough:///" + f.addr,
		Issuer:      f.domain.Issuer(),
		ServerID:    f.domain.ID("tts"),
		TrustDomain: f.domain.TrustDomain(),
		SVIDs:       source,
		Bundles:     source,
	}
}

// connect returns the gateway's Client, with the domain's clock and a log that is
// checked for secrets when the test ends.
func (f *fakeTTS) connect(t *testing.T, opts ...client.Option) (*client.Client, *testLog) {
	t.Helper()
	log := newTestLog(t)
	c, err := client.New(f.config(), append([]client.Option{
		client.WithClock(f.domain.Now), client.WithLogger(slog.New(log.handler())),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c, log
}

// ready is connect, and WaitReady.
func (f *fakeTTS) ready(t *testing.T, opts ...client.Option) (*client.Client, *testLog) {
	t.Helper()
	c, log := f.connect(t, opts...)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return c, log
}

// request is a good request.
func request() client.Request {
	return client.Request{
		SubjectToken:     secret,
		SubjectTokenType: client.AccessToken,
		Scope:            "order.create",
	}
}

// testLog keeps what is logged at any level and lets a test wait for a line.
type testLog struct {
	t    *testing.T
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newTestLog(t *testing.T) *testLog {
	t.Helper()
	l := &testLog{t: t, more: make(chan struct{})}
	t.Cleanup(func() {
		if text := l.String(); strings.Contains(text, "eyJ") {
			t.Errorf("the log holds a token:\n%s", text)
		}
	})
	return l
}

func (l *testLog) handler() slog.Handler {
	return slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines is how many lines contain all of parts.
func (l *testLog) lines(parts ...string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		matches := true
		for _, part := range parts {
			matches = matches && strings.Contains(line, part)
		}
		if matches {
			n++
		}
	}
	return n
}

// wait waits for n lines that contain all of parts.
func (l *testLog) wait(n int, parts ...string) {
	l.t.Helper()
	timeout := time.After(testTimeout)
	for {
		l.mu.Lock()
		more := l.more
		l.mu.Unlock()
		if l.lines(parts...) >= n {
			return
		}
		select {
		case <-more:
		case <-timeout:
			l.t.Fatalf("not %d lines with %q in the log:\n%s", n, parts, l)
		}
	}
}
