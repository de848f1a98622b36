package spiffecreds_test

import (
	"net/url"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffegrpc/grpccredentials"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// Covers VER-14.
func TestOnlyOwnAuthInfoIsTrusted(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	client := must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	server := must[transportCredentials](t)(spiffecreds.NewServer(source, source, members))
	own, _, err, _ := handshake(t, client, server)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err, _ := handshake(t,
		grpccredentials.MTLSClientCredentials(source, source, tlsconfig.AuthorizeMemberOf(domain)),
		grpccredentials.MTLSServerCredentials(source, source, tlsconfig.AuthorizeMemberOf(domain)))
	if err != nil {
		t.Fatal(err)
	}
	type wrapper struct{ credentials.AuthInfo }
	for name, info := range map[string]credentials.AuthInfo{
		"none":      nil,
		"go-spiffe": foreign,
		"TLS":       credentials.TLSInfo{SPIFFEID: &url.URL{Scheme: "spiffe", Host: "shop.test", Path: "/orders"}},
		"a wrapper": wrapper{own},
	} {
		if p, ok := spiffecreds.PeerFromAuthInfo(info); ok || p.Leaf != nil || !p.ID.IsZero() {
			t.Errorf("%s: peer %v", name, p.ID)
		}
		ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: info})
		if p, ok := spiffecreds.PeerFromContext(ctx); ok || p.Leaf != nil || !p.ID.IsZero() {
			t.Errorf("%s: peer %v from context", name, p.ID)
		}
	}
	if p, ok := spiffecreds.PeerFromContext(t.Context()); ok {
		t.Errorf("peer %v from an empty context", p.ID)
	}
	if p, ok := spiffecreds.PeerFromContext(peer.NewContext(t.Context(), &peer.Peer{AuthInfo: own})); !ok || p.ID != orders {
		t.Errorf("peer %v, %v from own AuthInfo", p.ID, ok)
	}
}
