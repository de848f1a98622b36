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

// boundedCreds are server credentials that admit so many connections of one workload, all
// its replicas together. Each holds memory and as many calls as it likes, so that without
// a bound one rogue workload could use up the process.
type boundedCreds struct {
	credentials.TransportCredentials
	limit  int
	logger *slog.Logger

	mu   *sync.Mutex
	open map[spiffeid.ID]int // none is zero
}

func boundConnections(creds credentials.TransportCredentials, limit int, logger *slog.Logger) credentials.TransportCredentials {
	return boundedCreds{TransportCredentials: creds, limit: limit, logger: logger, mu: new(sync.Mutex), open: make(map[spiffeid.ID]int)}
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
	if !b.take(peer.ID) {
		b.logger.Warn("connection refused: the workload has as many as it may",
			slog.String(string(semconv.ChainPeerID), peer.ID.String()), slog.Int("connections", b.limit))
		return nil, nil, errors.Join(errors.New("too many connections of one workload"), conn.Close())
	}
	return &boundedConn{Conn: conn, leave: sync.OnceFunc(func() { b.leave(peer.ID) })}, info, nil
}

// Clone implements credentials.TransportCredentials; the copies count together.
func (b boundedCreds) Clone() credentials.TransportCredentials {
	b.TransportCredentials = b.TransportCredentials.Clone()
	return b
}

func (b boundedCreds) take(id spiffeid.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[id] >= b.limit {
		return false
	}
	b.open[id]++
	return true
}

func (b boundedCreds) leave(id spiffeid.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[id]--; b.open[id] == 0 {
		delete(b.open, id)
	}
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
