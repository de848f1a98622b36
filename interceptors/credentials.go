package interceptors

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// carrierCredentials is the carrier as call credentials. Only here, per attempt and
// after the balancer has picked a connection, is it known who will receive the token.
// The context is the one that stats handlers have tagged: its span is otelgrpc's
// client span, its outgoing metadata has what they injected.
type carrierCredentials struct{ client *Client }

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (carrierCredentials) RequireTransportSecurity() bool { return true }

// GetRequestMetadata implements credentials.PerRPCCredentials. Its errors have codes
// that gRPC (gRFC A54) relays to the caller as they are.
func (cc carrierCredentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	c := cc.client
	info, ok := credentials.RequestInfoFromContext(ctx)
	if ok && isHealth(info.Method) {
		return nil, nil // client-side health checking comes through here too
	}
	peer, _ := spiffecreds.PeerFromAuthInfo(info.AuthInfo)
	token, err := c.release(ctx, info.Method, peer)
	if err != nil {
		return nil, c.refuse(ctx, refusal{method: info.Method, attempt: true, server: peer.ID, err: err})
	}
	if token == nil {
		return nil, nil
	}
	return map[string]string{tokenKey: token.UnsafeRaw()}, nil
}

// release decides whether the token of ctx goes out to server; nil if none is to. A
// zero server is one without a verified identity.
func (c *Client) release(ctx context.Context, method string, server spiffecreds.Peer) (*trat.Token, error) {
	now := c.clock()
	token, err := c.prepare(ctx, method, now)
	if err != nil || token == nil {
		return nil, err
	}
	if err := c.mayReceive(server.ID); err != nil {
		return nil, err
	}
	if server.Expired(now) {
		return nil, trat.Errorf(trat.ReasonPeerSVIDExpired, "", "the server's certificate is past its NotAfter")
	}
	c.reportAttached(ctx, token, now)
	return token, nil
}

// mayReceive reports whether the server may have a token.
func (c *Client) mayReceive(server spiffeid.ID) error {
	switch td := server.TrustDomain(); {
	case server.IsZero():
		return trat.Errorf(trat.ReasonEgressBlocked, "", "the server has no verified SPIFFE ID")
	case td != c.trustDomain && !c.foreign[td]:
		return trat.Errorf(trat.ReasonEgressBlocked, "", "the server is of trust domain %s", td.Name())
	}
	return nil
}
