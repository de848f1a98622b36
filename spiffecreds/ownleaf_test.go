package spiffecreds_test

import (
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// What a connection was made with stays known after the source has something newer.
// Covers KEY-07.
func TestOwnLeafIsThatOfTheHandshake(t *testing.T) {
	a := newAuthority(t)
	client, server := a.Source(gateway), a.Source(orders)
	old := must[*svid](t)(a.X509SVID(gateway)).Certificates[0]
	clientInfo, serverInfo, clientErr, serverErr := handshake(t,
		must[transportCredentials](t)(spiffecreds.NewClient(client, client, spiffeid.MatchID(orders))),
		must[transportCredentials](t)(spiffecreds.NewServer(server, server, members)))
	if clientErr != nil || serverErr != nil {
		t.Fatal(clientErr, serverErr)
	}
	a.Rotate()
	own, ok := spiffecreds.OwnLeafFromAuthInfo(clientInfo)
	if !ok || !own.Equal(old) {
		t.Error("the client's own leaf is not what it presented")
	}
	seen, _ := spiffecreds.PeerFromAuthInfo(serverInfo)
	if !seen.Leaf.Equal(own) || len(seen.Intermediates) != 0 {
		t.Errorf("the server saw another certificate, or intermediates: %d", len(seen.Intermediates))
	}
	if own, ok = spiffecreds.OwnLeafFromAuthInfo(serverInfo); !ok || own.URIs[0].String() != orders.String() {
		t.Error("the server's own leaf is not its own")
	}
	if _, ok := spiffecreds.OwnLeafFromAuthInfo(nil); ok {
		t.Error("no connection has an own leaf")
	}
}
