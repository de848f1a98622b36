package httptoken_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// exchanger is an Exchange with a fault.
type exchanger func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error)

// faulty is a service that has it.
type faulty struct {
	httptoken.TokenService
	exchange exchanger
}

func (s faulty) Exchange(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	return s.exchange(ctx, r)
}

// Covers ERR-10, SEC-12, PRIV-01.
func TestFaultsOfTheServiceStayUnsaid(t *testing.T) {
	for name, exchange := range map[string]exchanger{
		"a panic": func(_ context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
			panic("cannot handle " + r.GetSubjectToken())
		},
		"an error that is no status": func(_ context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
			return nil, errors.New("cannot handle " + r.GetSubjectToken())
		},
		"nothing": func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) { return nil, nil },
		"no token": func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
			return &tratv1.ExchangeResponse{}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			h := f.handler(t, func(c *httptoken.Config) { c.Service = faulty{f.Server, exchange} })
			client := f.client(t, f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.Handler = h }), gateway)
			answer := post(t, client, encode(goodRequest()))
			checkAnswer(t, answer, trat.ReasonInternal)
			if answer.body.Reason != trat.ReasonInternal {
				t.Errorf("got %s", answer.text)
			}
			text := f.Logs.String()
			if strings.Contains(text, "eyJ") || strings.Contains(text, "cannot handle") {
				t.Errorf("the cause is in the log:\n%s", text)
			}
			if name == "a panic" && (!strings.Contains(text, `"msg":"panic","type":"string"`) || !strings.Contains(text, "server_test.go")) {
				t.Errorf("log:\n%s", text)
			}
		})
	}
}

func TestExchangeThatTakesTooLongIsUnavailable(t *testing.T) {
	f := newFixture(t)
	f.Access.Func = func(ctx context.Context, _ subject.Input) (*subject.Principal, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	h := f.handler(t, func(c *httptoken.Config) { c.RequestTimeout = 20 * time.Millisecond })
	client := f.client(t, f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.Handler = h }), gateway)
	answer := post(t, client, encode(goodRequest()))
	if answer.status != http.StatusServiceUnavailable || answer.body.Error != "temporarily_unavailable" || answer.body.Reason != "" {
		t.Errorf("status %d, %s", answer.status, answer.text)
	}
	if r := f.Records.Take(); len(r) != 1 || r[0].Reason != "DEADLINE_EXCEEDED" {
		t.Errorf("audit records %+v", r)
	}
}

func TestExchangeOfACallerThatHasGoneEnds(t *testing.T) {
	f := newFixture(t)
	asked, ended := make(chan struct{}), make(chan error, 1)
	f.Access.Func = func(ctx context.Context, _ subject.Input) (*subject.Principal, error) {
		close(asked)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	client := f.client(t, f.serveHTTP(t), gateway)
	request := badForm{}.request(t).WithContext(ctx)
	go func() {
		<-asked
		cancel()
	}()
	if response, err := client.Do(request); err == nil { // it may cross the client's farewell
		if answer := read(t, response); answer.status != http.StatusServiceUnavailable {
			t.Errorf("status %d, %s", answer.status, answer.text)
		}
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the exchange ended with %v", err)
	}
}

// startServer is serveHTTP with the Server in hand.
func startServer(t *testing.T, f *fixture, l net.Listener) (s *httptoken.Server, done chan error) {
	t.Helper()
	s, err := httptoken.NewServer(httptoken.ServerConfig{
		Credentials: f.ServerCredentials(t, spiffecreds.WithHTTP1()), Handler: f.handler(t), Logger: f.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	done = make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return s, done
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	f := newFixture(t)
	l := listenLoopback(t)
	s, done := startServer(t, f, l)
	asked, finish := make(chan struct{}), make(chan struct{})
	f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
		close(asked)
		<-finish
		return servertest.Alice(in), nil
	}
	var under sync.WaitGroup
	under.Go(func() {
		if answer := post(t, f.client(t, l.Addr().String(), gateway), encode(goodRequest())); answer.status != http.StatusOK {
			t.Errorf("status %d, %s", answer.status, answer.text)
		}
	})
	<-asked
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("a connection is accepted after Shutdown")
	}
	close(finish)
	under.Wait()
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownWaitsNoLongerThanItsContext(t *testing.T) {
	f := newFixture(t)
	l := listenLoopback(t)
	s, done := startServer(t, f, l)
	asked, ended := make(chan struct{}), make(chan struct{})
	f.Access.Func = func(ctx context.Context, _ subject.Input) (*subject.Principal, error) {
		close(asked)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}
	silent, client := dial(t, l.Addr().String()), f.client(t, l.Addr().String(), gateway)
	var under sync.WaitGroup
	under.Go(func() {
		if response, err := client.Do(badForm{}.request(t)); err == nil {
			response.Body.Close()
			t.Error("an answer")
		}
	})
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	under.Wait()
	<-ended
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a handshake goes on: %v", err)
	}
}

func TestServeAfterShutdownEndsAtOnce(t *testing.T) {
	f := newFixture(t)
	s, err := httptoken.NewServer(httptoken.ServerConfig{
		Credentials: f.ServerCredentials(t, spiffecreds.WithHTTP1()), Handler: f.handler(t), Logger: f.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(listenLoopback(t)); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// failing is a listener that fails a few times, for a while or for ever.
type failing struct {
	net.Listener
	mu     sync.Mutex
	errors []error
}

func (l *failing) Accept() (net.Conn, error) {
	l.mu.Lock()
	if len(l.errors) > 0 {
		err := l.errors[0]
		l.errors = l.errors[1:]
		l.mu.Unlock()
		return nil, err
	}
	l.mu.Unlock()
	return l.Listener.Accept()
}

type tooManyFiles struct{}

func (tooManyFiles) Error() string   { return "too many open files" }
func (tooManyFiles) Temporary() bool { return true }

func TestListenerThatFailsForAWhileIsTriedAgain(t *testing.T) {
	f := newFixture(t)
	broken := errors.New("broken")
	l := &failing{Listener: listenLoopback(t), errors: []error{tooManyFiles{}, tooManyFiles{}}}
	s, done := startServer(t, f, l)
	if answer := get(t, f.client(t, l.Addr().String(), gateway), "/jwks"); answer.status != http.StatusOK {
		t.Errorf("status %d", answer.status)
	}
	if !strings.Contains(f.Logs.String(), "too many open files") {
		t.Errorf("log:\n%s", f.Logs)
	}
	l.mu.Lock()
	l.errors = []error{broken}
	l.mu.Unlock()
	dial(t, l.Addr().String()) // the Accept under way; the next one fails
	if err := <-done; !errors.Is(err, broken) {
		t.Errorf("Serve: %v", err)
	}
	_ = s.Shutdown(t.Context())
}

func TestConfigsWithoutTheirPartsAreRefused(t *testing.T) {
	_, err := httptoken.New(httptoken.Config{RequestTimeout: -1, BaseURL: "http://x"})
	for _, want := range []string{"Issuer", "BaseURL", "Service", "Keys", "Logger", "RequestTimeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	_, err = httptoken.NewServer(httptoken.ServerConfig{
		ReadTimeout: -1, WriteTimeout: -1, IdleTimeout: -1, MaxConnectionAge: -1, AgeGrace: -1,
	})
	for _, want := range []string{
		"Credentials", "Handler", "Logger", "ReadTimeout", "WriteTimeout", "IdleTimeout",
		"MaxConnectionAge", "AgeGrace",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	f := newFixture(t)
	for _, base := range []string{"https://", "tts.shop.test", "https://tts.shop.test?a=b", "https://tts.shop.test/#", "https://u:p@tts.shop.test", "https://tts\x7f"} {
		cfg := f.config()
		cfg.BaseURL = base
		if _, err := httptoken.New(cfg); err == nil || strings.Contains(err.Error(), "u:p@") {
			t.Errorf("%s: %v", base, err)
		}
	}
	cfg := f.config()
	cfg.Issuer, cfg.BaseURL = "https://tts.shop.test", "https://tts.shop.test/.well-known/oauth-authorization-server"
	if _, err := httptoken.New(cfg); err != nil {
		t.Errorf("%v", err)
	}
}

// Covers TTS-43.
func TestRequestIDIsOneOverBothFrontEnds(t *testing.T) {
	f := newFixture(t)
	request := goodRequest()
	request.RequestId = "req-1"
	response, err := f.DialGRPC(t, f.ServeGRPC(t), gateway).Exchange(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	client := f.client(t, f.serveHTTP(t), gateway)
	if answer := post(t, client, encode(request)); answer.body.AccessToken != response.GetAccessToken() {
		t.Errorf("the same request over HTTP got another token: %s", answer.text)
	}
	request.Scope = "order.read"
	answer := post(t, client, encode(request))
	if answer.body.Reason != trat.ReasonParameterInvalid || answer.fields()["request_id"] == "" {
		t.Errorf("another request of the same name: %s", answer.text)
	}
}
