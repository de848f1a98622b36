package interceptors

import (
	"context"
	"errors"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/headersize"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
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
	md, err := c.release(ctx, info)
	switch gone := ctx.Err(); {
	case err == nil:
		return md, nil
	case gone != nil && errors.Is(err, gone):
		return nil, status.FromContextError(gone).Err() // while its link waited to be signed
	default:
		peer, _ := spiffecreds.PeerFromAuthInfo(info.AuthInfo)
		return nil, c.refuse(ctx, refusal{method: info.Method, attempt: true, server: peer.ID, err: err})
	}
}

// release returns what goes out on the connection that info describes.
func (c *Client) release(ctx context.Context, info credentials.RequestInfo) (map[string]string, error) {
	now := c.clock()
	out, err := c.prepare(ctx, info.Method, now)
	if err != nil {
		return nil, err
	}
	size, err := outboundSize(ctx)
	if err != nil {
		return nil, err
	}
	if out.token == nil {
		return nil, checkBudget(size)
	}
	size += headersize.Field(tokenKey, out.token.Size())
	if err := checkBudget(size); err != nil {
		return nil, err
	}
	server, err := c.receiver(info.AuthInfo, now)
	if err != nil {
		return nil, err
	}
	md := map[string]string{tokenKey: out.token.UnsafeRaw()}
	var link callchain.Link
	if out.mode != 0 && server.ID.MemberOf(c.trustDomain) {
		var encoded string
		if link, encoded, err = c.sign(ctx, &out, info.AuthInfo, server.ID); err != nil {
			return nil, err
		}
		if err := checkBudget(size + headersize.Field(callchain.MetadataKey, len(encoded))); err != nil {
			return nil, err
		}
		md[callchain.MetadataKey] = encoded
	}
	c.reportAttached(ctx, &out, link, now)
	return md, nil
}

// receiver returns the server at the other end of a connection, if it may have a token now.
func (c *Client) receiver(conn credentials.AuthInfo, now time.Time) (spiffecreds.Peer, error) {
	server, _ := spiffecreds.PeerFromAuthInfo(conn) // zero without a verified identity
	if err := c.mayReceive(server.ID); err != nil {
		return spiffecreds.Peer{}, err
	}
	if server.Expired(now) {
		return spiffecreds.Peer{}, trat.Errorf(trat.ReasonPeerSVIDExpired, "", "the server's certificate is past its NotAfter")
	}
	return server, nil
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
