package httptoken

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// Waits after an Accept that failed for want of something that comes back.
const (
	minAcceptWait = 5 * time.Millisecond
	maxAcceptWait = time.Second
)

// listener accepts connections that have completed their TLS handshake. Handshakes run
// beside each other, so that a slow peer holds up nobody. How long one takes, and how many
// there are, is bounded by the credentials.
type listener struct {
	raw    net.Listener
	config ServerConfig
	conns  chan net.Conn
	done   chan struct{} // closed by Close
	failed chan struct{} // closed when raw has
	err    error         // of raw; read after failed

	closeOnce sync.Once
	closeErr  error
	running   sync.WaitGroup

	mu      sync.Mutex
	pending map[net.Conn]struct{} // the handshakes
}

// listen starts to accept from raw. Close ends it, and wait waits for the end.
func listen(raw net.Listener, cfg ServerConfig) *listener {
	l := &listener{
		raw:     raw,
		config:  cfg,
		conns:   make(chan net.Conn),
		done:    make(chan struct{}),
		failed:  make(chan struct{}),
		pending: make(map[net.Conn]struct{}),
	}
	l.running.Go(l.accept)
	return l
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.failed:
		return nil, l.err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.raw.Addr() }

// Close implements net.Listener. It ends the handshakes under way.
func (l *listener) Close() error {
	l.closeOnce.Do(func() {
		close(l.done)
		l.closeErr = l.raw.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for raw := range l.pending {
			_ = raw.Close() // the handshake fails of it
		}
	})
	return l.closeErr
}

func (l *listener) wait() { l.running.Wait() }

func (l *listener) accept() {
	wait := minAcceptWait
	for {
		raw, err := l.raw.Accept()
		if err == nil {
			wait = minAcceptWait
			l.admit(raw)
			continue
		}
		var temporary interface{ Temporary() bool }
		if l.isClosed() || !errors.As(err, &temporary) || !temporary.Temporary() {
			l.err = err
			close(l.failed)
			return
		}
		l.config.Logger.Warn("connections cannot be accepted for a while", slog.Any("error", err), slog.Duration("wait", wait))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.done:
			timer.Stop()
		}
		wait = min(2*wait, maxAcceptWait)
	}
}

func (l *listener) isClosed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// admit begins a handshake.
func (l *listener) admit(raw net.Conn) {
	l.mu.Lock()
	l.pending[raw] = struct{}{}
	if l.isClosed() { // Close has been through them
		_ = raw.Close()
	}
	l.mu.Unlock()
	l.running.Go(func() {
		secured, info, err := l.config.Credentials.ServerHandshake(raw)
		l.mu.Lock()
		delete(l.pending, raw)
		l.mu.Unlock()
		if err != nil {
			_ = raw.Close() // done already by most credentials, which log why
			return
		}
		c := newConn(secured, info, l.config.MaxConnectionAge, l.config.AgeGrace)
		select {
		case l.conns <- c:
		case <-l.done:
			_ = c.Close() // nobody has spoken on it yet
		}
	})
}

// conn is a connection with a verified peer. It has an end: the certificates that it was
// made with are not looked at again.
type conn struct {
	net.Conn
	info credentials.AuthInfo
	old  atomic.Bool // its next answer is its last

	mu            sync.Mutex
	aging, ending *time.Timer
}

func newConn(secured net.Conn, info credentials.AuthInfo, age, grace time.Duration) *conn {
	c := &conn{Conn: secured, info: info}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aging = time.AfterFunc(age, func() { c.old.Store(true) })
	c.ending = time.AfterFunc(age+grace, func() { _ = c.Close() })
	return c
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.mu.Lock()
	c.aging.Stop()
	c.ending.Stop()
	c.mu.Unlock()
	return c.Conn.Close()
}
