package spiffecreds_test

import (
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// connect opens a connection that says nothing.
func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn := must[net.Conn](t)(net.Dial("tcp", addr))
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSilentConnectionsAreBounded(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	s := startServer(t, must[transportCredentials](t)(spiffecreds.NewServer(source, source, members,
		spiffecreds.WithHandshakeTimeout(time.Hour))))
	const silent = 2 * spiffecreds.DefaultMaxHandshakes
	closed := make(chan int, silent)
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait)
	for i := range silent {
		conn := connect(t, s.addr)
		reading.Go(func() {
			_, _ = conn.Read(make([]byte, 1)) // until the server hangs up, or the test ends
			closed <- i
		})
	}
	client := must[transportCredentials](t)(spiffecreds.NewClient(a.Source(gateway), a.Source(gateway), members))
	if err := check(t, dial(t, s.addr, client)); err != nil {
		t.Errorf("a workload beside them: %v", err)
	}
	ctx := testContext(t)
	for n := range silent - spiffecreds.DefaultMaxHandshakes {
		select {
		case i := <-closed:
			if i == silent-1 {
				t.Error("the newest had to make room")
			}
		case <-ctx.Done():
			t.Fatalf("%d connections without a certificate are open", silent-n)
		}
	}
}

func TestOldestHandshakeMakesRoom(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	var log lockedText
	creds := must[transportCredentials](t)(spiffecreds.NewServer(source, source, members,
		spiffecreds.WithMaxHandshakes(2), spiffecreds.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))))
	// The clones that gRPC makes count together.
	started, handshakes := make(chan struct{}), sync.WaitGroup{}
	begin := func(creds transportCredentials) (ours net.Conn, failed chan error) {
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close() })
		failed = make(chan error, 1)
		handshakes.Go(func() {
			_, _, err := creds.ServerHandshake(&readConn{Conn: far, reading: func() { started <- struct{}{} }})
			failed <- err
		})
		<-started
		return near, failed
	}
	_, first := begin(creds)
	second, secondFailed := begin(creds.Clone())
	third, thirdFailed := begin(creds)
	if err := <-first; err == nil || !strings.Contains(err.Error(), "too many handshakes") {
		t.Errorf("the oldest ended with %v", err)
	}
	select {
	case err := <-secondFailed:
		t.Errorf("the second ended with %v", err)
	default:
	}
	second.Close()
	wantFailed(t, secondFailed)
	// It left by itself: there is room for one more.
	fourth, fourthFailed := begin(creds)
	select {
	case err := <-thirdFailed:
		t.Errorf("the third ended with %v", err)
	default:
	}
	third.Close()
	fourth.Close()
	wantFailed(t, thirdFailed)
	wantFailed(t, fourthFailed)
	handshakes.Wait()
	if !strings.Contains(log.String(), "too many handshakes") {
		t.Errorf("log:\n%s", &log)
	}
}

func wantFailed(t *testing.T, failed <-chan error) {
	t.Helper()
	if err := <-failed; err == nil {
		t.Error("a handshake succeeded")
	}
}

// Many that come and go at once, some of which are displaced.
func TestHandshakesBesideEachOther(t *testing.T) {
	a := newAuthority(t)
	s := startServer(t, must[transportCredentials](t)(spiffecreds.NewServer(a.Source(orders), a.Source(orders), members,
		spiffecreds.WithMaxHandshakes(3))))
	client := must[transportCredentials](t)(spiffecreds.NewClient(a.Source(gateway), a.Source(gateway), members))
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			raw, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer raw.Close()
			// Whether it is let in is a matter of luck.
			if conn, _, err := client.ClientHandshake(testContext(t), "localhost", raw); err == nil {
				conn.Close()
			}
		})
	}
	all.Wait()
	if err := check(t, dial(t, s.addr, client)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// readConn tells when it is read from for the first time.
type readConn struct {
	net.Conn
	once    sync.Once
	reading func()
}

func (c *readConn) Read(b []byte) (int, error) {
	c.once.Do(c.reading)
	return c.Conn.Read(b)
}

// lockedText is what a log has said.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
