package main

import (
	"errors"
	"log/slog"
	"net"
	"sync"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// connections bounds how many connections one workload may have, all its replicas together
// and over gRPC and HTTP. Each holds memory and as many calls as it likes, so that without
// a bound one rogue workload could use up the process.
type connections struct {
	limit  int
	logger *slog.Logger

	mu   sync.Mutex
	open map[spiffeid.ID]int // none is zero
}

func newConnections(limit int, logger *slog.Logger) *connections {
	return &connections{limit: limit, logger: logger, open: make(map[spiffeid.ID]int)}
}

// bound returns creds that admit no more connections than they may. All that are bound by
// one connections count together.
func (c *connections) bound(creds credentials.TransportCredentials) credentials.TransportCredentials {
	return boundedCreds{TransportCredentials: creds, connections: c}
}

func (c *connections) take(id spiffeid.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[id] >= c.limit {
		return false
	}
	c.open[id]++
	return true
}

func (c *connections) leave(id spiffeid.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[id]--; c.open[id] == 0 {
		delete(c.open, id)
	}
}

// boundedCreds are what connections.bound returns.
type boundedCreds struct {
	credentials.TransportCredentials
	connections *connections
}

// ServerHandshake implements credentials.TransportCredentials. The bound comes after the
// handshake: before it nobody knows whose connection it is.
func (b boundedCreds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := b.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	peer, ok := spiffecreds.PeerFromAuthInfo(info)
	if !ok {
		return nil, nil, errors.Join(errors.New("no peer identity of package spiffecreds"), conn.Close())
	}
	if !b.connections.take(peer.ID) {
		b.connections.logger.Warn("connection refused: the workload has as many as it may",
			slog.String(string(semconv.ChainPeerID), peer.ID.String()), slog.Int("connections", b.connections.limit))
		return nil, nil, errors.Join(errors.New("too many connections of one workload"), conn.Close())
	}
	return &boundedConn{Conn: conn, leave: sync.OnceFunc(func() { b.connections.leave(peer.ID) })}, info, nil
}

// Clone implements credentials.TransportCredentials; the copies count together.
func (b boundedCreds) Clone() credentials.TransportCredentials {
	b.TransportCredentials = b.TransportCredentials.Clone()
	return b
}

// boundedConn counts until it is closed, which gRPC does to every connection.
type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
