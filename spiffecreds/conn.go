package spiffecreds

import (
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// rawConn names syscall.Conn so that it can be embedded beside net.Conn.
type rawConn = syscall.Conn

// syscallConn keeps the socket of a TLS connection reachable: gRPC reads socket options
// for channelz through it.
type syscallConn struct {
	net.Conn
	rawConn
}

// refusalInterval bounds what strangers on the network can make a server log.
const refusalInterval = time.Second

// refusalLog logs failed handshakes of a server, at most one per refusalInterval, with
// the number of those passed over since.
type refusalLog struct {
	logger *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	last    time.Time
	skipped int
}

func (l *refusalLog) add(conn net.Conn, err error) {
	now := l.now()
	l.mu.Lock()
	if !l.last.IsZero() && now.Sub(l.last) < refusalInterval {
		l.skipped++
		l.mu.Unlock()
		return
	}
	skipped := l.skipped
	l.last, l.skipped = now, 0
	l.mu.Unlock()
	l.logger.Warn("TLS handshake refused", "remote", conn.RemoteAddr().String(), "error", err, "skipped", skipped)
}
