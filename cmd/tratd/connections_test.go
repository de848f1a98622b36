package main

import (
	"net"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func TestConnectionsOfOneWorkloadAreBounded(t *testing.T) {
	authority, err := devauthority.New(trustDomain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = authority.Close() })
	source := authority.Source(tts)
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(trustDomain))
	if err != nil {
		t.Fatal(err)
	}
	out := newLogs()
	shared := newConnections(2, telemetry.NewLogger(out, 0, telemetry.JSON))
	bounded := shared.bound(creds)
	connect := func(creds credentials.TransportCredentials, id spiffeid.ID) (net.Conn, error) {
		t.Helper()
		_, theirs := credentialsOf(t, authority, id)
		near, far := net.Pipe()
		t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
		done := make(chan error, 1)
		go func() {
			conn, _, err := theirs.ClientHandshake(t.Context(), "tts", far)
			if err == nil {
				go func() { _, _ = conn.Read(make([]byte, 1)) }() // until the server hangs up
			}
			done <- err
		}()
		conn, info, err := creds.ServerHandshake(near)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err != nil {
			return nil, err
		}
		if peer, ok := spiffecreds.PeerFromAuthInfo(info); !ok || peer.ID != id {
			t.Errorf("peer %v, want %s", peer.ID, id)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn, nil
	}
	must := func(conn net.Conn, err error) net.Conn {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := must(connect(bounded, gateway))
	must(connect(shared.bound(creds).Clone(), gateway))
	if _, err := connect(bounded, gateway); err == nil {
		t.Error("a third connection was admitted")
	}
	must(connect(bounded, spiffeid.RequireFromString("spiffe://shop.test/orders")))

	for range 2 { // closed twice, left once
		_ = first.Close()
	}
	must(connect(bounded, gateway))
	if _, err := connect(bounded, gateway); err == nil {
		t.Error("a connection counts less after it was closed twice")
	}
	refused := out.records("connection refused: the workload has as many as it may")
	if len(refused) != 2 || refused[0]["txn_chain.peer.id"] != gateway.String() {
		t.Errorf("the log of two refusals is\n%s", out)
	}
}
