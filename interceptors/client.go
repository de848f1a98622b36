package interceptors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
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
// (trat.FromContext) with the call, byte for byte, and with it the call chain: the
// links that the call being handled came with (callchain.FromContext) and a new one that
// says who is called now, by which method. A retry is a call of its own, with its own
// link. One Client serves any number of connections and is safe for concurrent use; it
// keeps nothing of a call.
//
// A call is refused locally, before anything is sent, when there is no TraT
// (TXN_TOKEN_MISSING) or it has expired (TXN_TOKEN_EXPIRED; by the clock, without
// leeway), when the chain has as many links as there may be (CHAIN_TOO_DEEP), when the
// application set txn-token or txn-chain metadata itself (CLIENT_METADATA_CONFLICT), when
// the context's metadata, the token and the chain would pass 7680 bytes as HTTP/2 counts
// them (METADATA_TOO_LARGE), when the server is not a workload of the trust domain on a
// spiffecreds connection (EGRESS_BLOCKED), or when its X.509-SVID has expired
// (PEER_SVID_EXPIRED). The error has the same form as one from a guard; see ReasonFrom.
// Nothing is issued anew unless WithCheckpoint says so.
//
// A call whose context has no TraT goes out without one, to any server, if the method is
// exempt by what stands beside it in its proto file ((trat.v1.rule).exempt), as far as that
// is linked into this program. If the context has one, it is a call like any other: see
// WithoutToken. A service may require more than its proto file; it refuses the call then.
//
// A unary call ends when its TraT expires, if the caller's
// deadline is not earlier, and so does a stream that is closed at exp: one with
// STREAM_EXPIRY_CLOSE_AT_EXP beside its method (trat/v1/rules.proto), and one with nothing
// beside it whose client streams, or whose method is named Watch…. All other streams, and
// those with Renewable, keep the caller's deadline. A call that the TraT has ended has the
// code DEADLINE_EXCEEDED and the reason TXN_TOKEN_EXPIRED; one that the caller's deadline
// has ended has no reason. A stream may be ended by the guard just before (StreamEnd), with
// UNAUTHENTICATED; the details are the same, with the hint REOPEN_WITH_NEW_TOKEN. A call is not begun, and an attempt is not made, when the TraT
// has hardly any time left: see WithMinRemaining.
//
// The links of the context count only for the very TraT that they came with. With
// another one, and without any, the workload that requested the TraT (req_wl) begins a
// chain, and every other calls without one: whether that is enough is for the called
// method to say. Servers outside the trust domain get no chain, whoever may have the
// token: it shows which workloads there are.
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
	id           string // this workload, as req_wl has it
	signer       callchain.LinkSigner
	modes        map[string]callchain.Mode                      // by full method, or "/pkg.Service/"
	checkpoint   func(context.Context) (context.Context, error) // nil: none
	minRemaining time.Duration
	// wall is what deadlines of contexts are of. The clock that TraTs are judged by may be
	// another one, and stand still.
	wall         trat.Clock
	declarations declarations
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
		modes:        make(map[string]callchain.Mode),
		minRemaining: DefaultMinRemaining,
		wall:         time.Now,
	}
	var problems []error
	if cfg.TrustDomain.IsZero() {
		problems = append(problems, errors.New("no TrustDomain"))
	}
	id, err := checkIdentity(cfg.SVIDs, cfg.TrustDomain)
	c.id = id.String()
	problems = append(problems, err)
	for _, opt := range opts {
		if opt == nil {
			problems = append(problems, errors.New("nil option"))
			continue
		}
		problems = append(problems, opt.applyClient(c))
	}
	if c.signer == nil && cfg.SVIDs != nil {
		signer, err := callchain.NewSigner(cfg.SVIDs, callchain.WithClock(c.clock))
		problems = append(problems, err)
		c.signer = signer
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

// Unary is the grpc.UnaryClientInterceptor. It refuses early, before a connection
// is looked for, or has the TraT replaced (WithCheckpoint), and bounds the call by the
// expiry of its TraT; what carries token and chain are the call credentials of DialOptions,
// which make every check for every attempt.
func (c *Client) Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, out, err := c.enter(ctx, method)
	if err != nil {
		return err
	}
	end := c.endOf(ctx, &out)
	if end.IsZero() {
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	ctx, release := context.WithDeadline(ctx, end)
	defer release()
	if err := invoker(ctx, method, req, reply, cc, opts...); err != nil {
		return c.explain(end, err, markExpired)
	}
	return nil
}

// Stream is the grpc.StreamClientInterceptor; see Unary.
func (c *Client) Stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, out, err := c.enter(ctx, method)
	if err != nil {
		return nil, err
	}
	renewable := isRenewable(opts)
	ctx = context.WithValue(ctx, carriedKey{}, carriedStream{method: method, renewable: renewable})
	if renewable {
		return streamer(ctx, desc, cc, method, opts...)
	}
	end := c.endOf(ctx, &out)
	if end.IsZero() || !c.declarations.endsWithToken(method, desc) {
		return streamer(ctx, desc, cc, method, opts...)
	}
	ctx, release := context.WithDeadline(ctx, end)
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		release()
		return nil, c.explain(end, err, grpcerr.MarkedStreamEnded)
	}
	return &endingStream{ClientStream: stream, client: c, end: end, release: release, answers: desc.ServerStreams}, nil
}

// outbound is what is to go out with a call.
type outbound struct {
	method string
	token  *trat.Token   // nil: nothing goes out
	left   time.Duration // for which the token is good
	// mode is how much of the chain goes out; zero when this workload has nothing to say
	// about the token.
	mode   callchain.Mode
	parent *callchain.Chain // nil: this workload begins the chain
}

// prepare decides what goes out with a call of method, as far as that needs neither a
// connection nor the call's metadata, to which stats handlers will add. It costs next to
// nothing, for it runs twice.
func (c *Client) prepare(ctx context.Context, method string, now time.Time) (outbound, error) {
	if isHealth(method) || c.withoutToken[method] {
		return outbound{method: method}, nil
	}
	token, ok := trat.FromContext(ctx)
	if !ok {
		if c.declarations.of(method).exempt {
			return outbound{method: method}, nil
		}
		return outbound{}, trat.Errorf(trat.ReasonTxnTokenMissing, "", "the call's context has no verified token")
	}
	left := token.Expiry().Sub(now)
	if left <= 0 {
		return outbound{}, &trat.Error{Reason: trat.ReasonTxnTokenExpired, Field: "exp"}
	}
	if left < c.minRemaining {
		return outbound{}, trat.Errorf(trat.ReasonTxnTokenExpired, "exp", "good for less than %s", c.minRemaining)
	}
	if token.Audience() != c.trustDomain.Name() {
		return outbound{}, trat.Errorf(trat.ReasonEgressBlocked, "aud", "the token is of another trust domain than this carrier")
	}
	out := outbound{method: method, token: token, left: left}
	if err := c.prepareChain(ctx, &out); err != nil {
		return outbound{}, err
	}
	return out, nil
}
