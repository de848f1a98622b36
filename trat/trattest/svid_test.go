package trattest_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestPeerContextHasThePeer(t *testing.T) {
	d := trattest.New(t, "shop.test")
	peer, ok := spiffecreds.PeerFromContext(d.PeerContext(t.Context(), "gateway"))
	if !ok || peer.ID != d.ID("gateway") || peer.Expired(d.Now()) {
		t.Errorf("peer = %v, %v", peer.ID, ok)
	}
}

func TestCredentialsConnectOnlyWhoMatches(t *testing.T) {
	d, stranger := trattest.New(t, "shop.test"), trattest.New(t, "other.test")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(d.ServerCredentials("orders", d.Only("gateway"))))
	healthpb.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	for name, test := range map[string]struct {
		creds credentials.TransportCredentials
		want  codes.Code
	}{
		"expected on both sides": {d.ClientCredentials("gateway", d.Only("orders")), codes.OK},
		"any member as server":   {d.ClientCredentials("gateway", d.Members()), codes.OK},
		"client not wanted":      {d.ClientCredentials("stocks", d.Members()), codes.Unavailable},
		"server not wanted":      {d.ClientCredentials("gateway", d.Only("stocks")), codes.Unavailable},
		"another trust domain":   {stranger.ClientCredentials("gateway", d.Members()), codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(test.creds))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
			if got := status.Code(err); got != test.want {
				t.Errorf("code = %s (%v), want %s", got, err, test.want)
			}
		})
	}
}

func TestSourceFollowsRotation(t *testing.T) {
	d := trattest.New(t, "shop.test")
	source := d.Source("orders")
	before, err := source.GetX509SVID()
	if err != nil {
		t.Fatal(err)
	}
	if d.SVID("orders") != before {
		t.Error("SVID and Source differ")
	}
	d.RotateSVIDs()
	after, err := source.GetX509SVID()
	if err != nil {
		t.Fatal(err)
	}
	if after.ID != before.ID || after.Certificates[0].Equal(before.Certificates[0]) {
		t.Error("the source did not follow the rotation")
	}
}
