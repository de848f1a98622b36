package client

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// presented passes SVIDs on from their source and remembers the last: the one that
// the newest connection was made with, when it is only asked for handshakes.
type presented struct {
	x509svid.Source
	last atomic.Pointer[x509svid.SVID]
	// open is the newest connection, nil when it is closed. gRPC's own state of the channel
	// lags behind: calls go out before it says READY.
	open atomic.Pointer[mortalConn]
}

// shown returns the SVID that the open connection was made with, nil without one.
func (p *presented) shown() *x509svid.SVID {
	conn := p.open.Load()
	if conn == nil {
		return nil
	}
	return conn.own
}

func (p *presented) GetX509SVID() (*x509svid.SVID, error) {
	svid, err := p.Source.GetX509SVID()
	if err == nil {
		p.last.Store(svid)
	}
	return svid, err
}

// transport is spiffecreds for connections that end when the certificate of either
// side does: gRPC then makes a new one with what has been rotated in meanwhile, also
// toward a server that does not bound the age of connections.
type transport struct {
	credentials.TransportCredentials
	own   *presented
	clock trat.Clock
}

func newTransport(cfg Config, clock trat.Clock) (*transport, error) {
	own := &presented{Source: cfg.SVIDs}
	creds, err := spiffecreds.NewClient(own, cfg.Bundles, pinned(cfg.ServerID), spiffecreds.WithClock(clock))
	if err != nil {
		return nil, err
	}
	return &transport{TransportCredentials: creds, own: own, clock: clock}, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (t *transport) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	var end time.Time
	if peer, ok := spiffecreds.PeerFromAuthInfo(info); ok {
		end = peer.Leaf.NotAfter
	}
	own := t.own.last.Load()
	if own != nil && own.Certificates[0].NotAfter.Before(end) {
		end = own.Certificates[0].NotAfter
	}
	// The socket itself: there is nobody left to say goodbye to.
	timer := time.AfterFunc(end.Sub(t.clock()), func() { raw.Close() })
	mortal := &mortalConn{Conn: conn, timer: timer, own: own, presented: t.own}
	t.own.open.Store(mortal)
	return mortal, info, nil
}

// Clone implements credentials.TransportCredentials.
func (t *transport) Clone() credentials.TransportCredentials {
	clone := *t
	clone.TransportCredentials = t.TransportCredentials.Clone()
	return &clone
}

// mortalConn releases its timer when it is closed before its time.
type mortalConn struct {
	net.Conn
	timer     *time.Timer
	own       *x509svid.SVID // that it was made with
	presented *presented
}

func (c *mortalConn) Close() error {
	c.timer.Stop()
	c.presented.open.CompareAndSwap(c, nil) // a newer one stays
	return c.Conn.Close()
}

// SyscallConn lets gRPC see the socket, for channelz.
func (c *mortalConn) SyscallConn() (syscall.RawConn, error) {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return socket.SyscallConn()
}
