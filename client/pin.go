package client

import (
	"context"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// pin looks at the connected server before the headers of each call leave. The
// handshake has checked the same identity; this holds for the connection that the
// call really goes out on, however it was made, and however old it is by now.
type pin struct {
	server spiffeid.ID
	clock  trat.Clock
}

// pinned accepts want alone. Its error names want: spiffecreds names who came instead.
func pinned(want spiffeid.ID) spiffeid.Matcher {
	return func(actual spiffeid.ID) error {
		if actual != want {
			return fmt.Errorf("want %s", want)
		}
		return nil
	}
}

// GetRequestMetadata adds nothing to a call and fails it for a wrong server. The
// code is one that gRFC A54 lets credentials give.
func (p pin) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	peer, ok := spiffecreds.PeerFromAuthInfo(info.AuthInfo)
	switch {
	case !ok || peer.ID != p.server:
		return nil, status.Error(codes.Unavailable, "the server is not the pinned token service")
	case peer.Expired(p.clock()):
		return nil, status.Error(codes.Unavailable, "the token service's certificate has expired")
	}
	return nil, nil
}

// RequireTransportSecurity makes gRPC refuse a plaintext connection.
func (pin) RequireTransportSecurity() bool { return true }
