package interceptors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/trat"
)

// ClientConfig holds what the carrier's trust rests on. Every field is required.
type ClientConfig struct {
	// TrustDomain is the one that TraTs must not leave.
	TrustDomain spiffeid.TrustDomain
	// SVIDs is this workload's own identity, in the same trust domain. It must be able
	// to answer when NewClient is called.
	SVIDs x509svid.Source
}

// Client is the carrier: it sends the verified TraT of a call's context
// (trat.FromContext) with the call, byte for byte. One Client serves any number of
// connections and is safe for concurrent use; it keeps nothing of a call.
//
// A call is refused locally, before anything is sent, when there is no TraT
// (TXN_TOKEN_MISSING) or it has expired (TXN_TOKEN_EXPIRED; by the clock, without
// leeway), when the application set txn-token or txn-chain metadata itself
// (CLIENT_METADATA_CONFLICT), when the context's metadata and the token would pass 7680
// bytes as HTTP/2 counts them (METADATA_TOO_LARGE), when the server is not a workload
// of the trust domain on a spiffecreds connection (EGRESS_BLOCKED), or when its
// X.509-SVID has expired (PEER_SVID_EXPIRED). The error has the same form as one from a
// guard; see ReasonFrom. Nothing is issued anew silently.
//
// Two things are out of the carrier's sight. What other call credentials add does not
// count toward the 7680 bytes (for a txn-token among it see DialOptions). And a call
// that has passed, but waits in the transport because the server bounds the streams of
// a connection, is not looked at again: should the token expire meanwhile, the guard
// refuses it.
type Client struct {
	settings
	trustDomain  spiffeid.TrustDomain
	svids        x509svid.Source
	foreign      map[spiffeid.TrustDomain]bool
	withoutToken map[string]bool
	telemetry    clientTelemetry
}

// NewClient makes a carrier. All problems of config and options are reported at once.
func NewClient(cfg ClientConfig, opts ...ClientOption) (*Client, error) {
	c := &Client{
		settings:     defaultSettings(),
		trustDomain:  cfg.TrustDomain,
		svids:        cfg.SVIDs,
		foreign:      make(map[spiffeid.TrustDomain]bool),
		withoutToken: make(map[string]bool),
	}
	var problems []error
	if cfg.TrustDomain.IsZero() {
		problems = append(problems, errors.New("no TrustDomain"))
	}
	problems = append(problems, checkIdentity(cfg.SVIDs, cfg.TrustDomain))
	for _, opt := range opts {
		if opt == nil {
			problems = append(problems, errors.New("nil option"))
			continue
		}
		problems = append(problems, opt.applyClient(c))
	}
	problems = append(problems, c.telemetry.init(c.meter()))
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("interceptors: new carrier: %w", err)
	}
	for td := range c.foreign {
		c.logger.Warn("TraT carrier sends tokens to another trust domain", "trust_domain", td.Name())
	}
	return c, nil
}

// DialOptions returns what grpc.NewClient needs for the carrier: the call credentials
// that carry the token, both interceptors, and the header list limit. It is the
// intended way to install it. The credentials demand transport security, which
// spiffecreds provides; grpc.NewClient fails without.
//
// Give them last where there are other call credentials: of those of a connection that
// set one key grpc-go sends the value of the last, so that none can replace the token.
// Those given for a call (grpc.PerRPCCredentials) cannot; a second txn-token from them
// goes beside the first, and guards refuse both.
func (c *Client) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithPerRPCCredentials(carrierCredentials{c}),
		grpc.WithChainUnaryInterceptor(c.Unary),
		grpc.WithChainStreamInterceptor(c.Stream),
		grpc.WithMaxHeaderListSize(c.maxHeaderList),
	}
}

// Unary is the grpc.UnaryClientInterceptor. It only refuses early, before a connection
// is looked for: what carries the token are the call credentials of DialOptions, and
// they check again for every attempt.
func (c *Client) Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, err := c.prepare(ctx, method, c.clock()); err != nil {
		return c.refuse(ctx, refusal{method: method, err: err})
	}
	return invoker(ctx, method, req, reply, cc, opts...)
}

// Stream is the grpc.StreamClientInterceptor; see Unary.
func (c *Client) Stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if _, err := c.prepare(ctx, method, c.clock()); err != nil {
		return nil, c.refuse(ctx, refusal{method: method, err: err})
	}
	return streamer(ctx, desc, cc, method, opts...)
}

// prepare returns the token that goes out with a call of method, nil if none is to,
// after every check that needs no connection.
func (c *Client) prepare(ctx context.Context, method string, now time.Time) (*trat.Token, error) {
	if isHealth(method) || c.withoutToken[method] {
		return nil, checkOutbound(ctx, 0)
	}
	token, ok := trat.FromContext(ctx)
	if !ok {
		return nil, trat.Errorf(trat.ReasonTxnTokenMissing, "", "the call's context has no verified token")
	}
	if !now.Before(token.Expiry()) {
		return nil, &trat.Error{Reason: trat.ReasonTxnTokenExpired, Field: "exp"}
	}
	if token.Audience() != c.trustDomain.Name() {
		return nil, trat.Errorf(trat.ReasonEgressBlocked, "aud", "the token is of another trust domain than this carrier")
	}
	return token, checkOutbound(ctx, token.Size())
}
