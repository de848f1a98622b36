package trattest

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// Source is where a workload gets its X.509-SVID and its trust bundles from. It is
// safe for concurrent use.
type Source interface {
	x509svid.Source
	x509bundle.Source
}

// SVID returns the present X.509-SVID of the workload with the given path, see ID.
func (d *Domain) SVID(path string) *x509svid.SVID {
	d.tb.Helper()
	svid, err := d.authority.X509SVID(d.ID(path))
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	return svid
}

// Source returns what the Workload API would give the workload with the given path,
// see ID. It follows RotateSVIDs.
func (d *Domain) Source(path string) Source {
	d.tb.Helper()
	return d.authority.Source(d.ID(path))
}

// RotateSVIDs gives every workload a new X.509-SVID, from the same authority.
func (d *Domain) RotateSVIDs() { d.authority.Rotate() }

// Members matches every workload of the Domain, for ServerCredentials and
// ClientCredentials.
func (d *Domain) Members() spiffeid.Matcher { return spiffeid.MatchMemberOf(d.name) }

// Only matches the workload with the given path, see ID.
func (d *Domain) Only(path string) spiffeid.Matcher {
	d.tb.Helper()
	return spiffeid.MatchID(d.ID(path))
}

// ServerCredentials returns the credentials of a gRPC server with the given path, to
// which the clients that match may connect.
func (d *Domain) ServerCredentials(path string, clients spiffeid.Matcher) credentials.TransportCredentials {
	d.tb.Helper()
	source := d.Source(path)
	creds, err := spiffecreds.NewServer(source, source, clients)
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	return creds
}

// ClientCredentials returns the credentials of a gRPC client with the given path that
// connects to no other server than one that matches.
func (d *Domain) ClientCredentials(path string, server spiffeid.Matcher) credentials.TransportCredentials {
	d.tb.Helper()
	source := d.Source(path)
	creds, err := spiffecreds.NewClient(source, source, server)
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	return creds
}

// PeerContext returns a context as a handler gets it for a call from the workload with
// the given path: spiffecreds.PeerFromContext finds it. The peer comes from a real
// handshake over a pipe, there is no other way to one.
func (d *Domain) PeerContext(ctx context.Context, path string) context.Context {
	d.tb.Helper()
	info, err := handshake(ctx, d.ClientCredentials(path, d.Members()), d.ServerCredentials("trattest", d.Members()))
	if err != nil {
		d.tb.Fatalf("trattest: handshake: %v", err)
	}
	return peer.NewContext(ctx, &peer.Peer{Addr: pipeAddr{}, AuthInfo: info})
}

// handshake returns what the server learns about the client.
func handshake(ctx context.Context, client, server credentials.TransportCredentials) (credentials.AuthInfo, error) {
	clientEnd, serverEnd := net.Pipe()
	defer clientEnd.Close()
	defer serverEnd.Close()

	clientDone := make(chan error, 1)
	go func() {
		_, _, err := client.ClientHandshake(ctx, "pipe", clientEnd)
		clientDone <- err
		_, _ = io.Copy(io.Discard, clientEnd) // a pipe has no buffer for a late alert
	}()
	_, info, err := server.ServerHandshake(serverEnd)
	if err != nil {
		clientEnd.Close()
	}
	if err := errors.Join(err, <-clientDone); err != nil {
		return nil, err
	}
	return info, nil
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
