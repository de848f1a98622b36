package spiffecreds_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// Covers SEC-01.
func TestProtocolOfAConnectionCannotBeSwapped(t *testing.T) {
	a := newAuthority(t)
	mine, theirs := a.Source(orders), a.Source(gateway)
	for name, tt := range map[string]struct {
		client, server []spiffecreds.CredentialsOption
		accepted       bool
	}{
		"gRPC":             {accepted: true},
		"HTTP/1.1":         {http1(), http1(), true},
		"HTTP/1.1 to gRPC": {http1(), nil, false},
		"gRPC to HTTP/1.1": {nil, http1(), false},
	} {
		t.Run(name, func(t *testing.T) {
			client := must[transportCredentials](t)(spiffecreds.NewClient(theirs, theirs, members, tt.client...))
			server := must[transportCredentials](t)(spiffecreds.NewServer(mine, mine, members, tt.server...))
			_, info, _, err := handshake(t, client, server)
			if (err == nil) != tt.accepted || (info != nil) != tt.accepted {
				t.Fatalf("error %v, AuthInfo %v", err, info)
			}
			if p, _ := spiffecreds.PeerFromAuthInfo(info); tt.accepted && p.ID != gateway {
				t.Errorf("peer %v", p.ID)
			}
		})
	}
}

func http1() []spiffecreds.CredentialsOption {
	return []spiffecreds.CredentialsOption{spiffecreds.WithHTTP1()}
}

// Covers SEC-01.
func TestHTTP1IsRequiredByALPN(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	server := must[transportCredentials](t)(spiffecreds.NewServer(source, source, members, spiffecreds.WithHTTP1()))
	for name, tt := range map[string]struct {
		offer    []string
		accepted bool
	}{
		"none":          {nil, false},
		"both":          {[]string{"h2", "http/1.1"}, true},
		"HTTP/2 alone":  {[]string{"h2"}, false},
		"another":       {[]string{"http/1.0"}, false},
		"in upper case": {[]string{"HTTP/1.1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := rawConfig(flawed(t, a, gateway, sound))
			cfg.NextProtos = tt.offer
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			client := tls.Client(far, cfg)
			done := make(chan error, 1)
			go func() { done <- readAfterHandshake(client) }()
			conn, _, err := server.ServerHandshake(near)
			if (err == nil) != tt.accepted {
				t.Errorf("error %v", err)
			}
			if err == nil {
				if _, err := conn.Write([]byte("x")); err != nil {
					t.Error(err)
				}
			}
			if err := <-done; (err == nil) != tt.accepted {
				t.Errorf("the client has error %v", err)
			}
			if name == "none" && !errors.Is(err, spiffecreds.ErrProtocol) {
				t.Errorf("error %v, want %v", err, spiffecreds.ErrProtocol)
			}
		})
	}
}
