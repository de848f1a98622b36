package interceptors

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// call is one call as the guard has judged it.
type call struct {
	method *method
	peer   spiffeid.ID
	token  *trat.Token
	raw    string // the received token while it is not verified; for its hash only
	err    error  // an *trat.Error
	// wouldDeny is the first failure that the method's enforcement mode let through, an
	// *trat.Error. With a failure of layerToken there is no token, and with one of the chain
	// no chain.
	wouldDeny error
	opening   error // wouldDeny, unless it is of a stream's message
	// noted is of an open stream, whose calls share what is reported once; else nil.
	noted     *atomic.Pointer[error]
	continued bool // a renewal of a stream, within its transaction: not another request
	start     time.Time
	chainCall
}

// admit makes every check that does not need the request message, in the order that
// the package documentation draws. It returns the handler's context as well: the
// verified token and chain in, the reserved metadata out. A layer that depends on one that
// failed, and was let through, is left out.
func (s *Server) admit(ctx context.Context, fullMethod string) (context.Context, call) {
	inside, c := insideContext{ctx}, call{start: s.clock()}
	if c.method = s.lookup(fullMethod); c.method == nil {
		c.method = s.unregistered
		c.err = errUnchecked
		s.logUnchecked(ctx)
		return inside, c
	}
	if c.method.exempt {
		return inside, c
	}
	if c.err = s.admitPeer(ctx, &c, fullMethod); c.err != nil {
		return inside, c
	}
	if c.err = s.refuse(ctx, &c, layerToken, s.admitToken(ctx, &c)); c.err != nil || c.token == nil {
		return inside, c // in shadow mode without a token, and nothing more to look at
	}
	if c.err = s.refuse(ctx, &c, layerRule, c.method.program.CheckToken(c.token)); c.err != nil {
		return inside, c
	}
	if c.err = s.refuse(ctx, &c, layerRule, s.admitChain(ctx, &c, fullMethod)); c.err != nil {
		return inside, c
	}
	handlers := trat.NewContext(inside, c.token)
	if c.chain != nil {
		handlers = callchain.NewContext(handlers, c.chain)
	}
	return handlers, c
}

// lookup returns what is required of fullMethod, nil while coverage is unchecked.
func (s *Server) lookup(fullMethod string) *method {
	methods := s.methods.Load()
	if methods == nil {
		if s.healthIsDefault() && isHealth(fullMethod) {
			return s.health
		}
		return nil
	}
	if m, ok := (*methods)[fullMethod]; ok {
		return m
	}
	return s.unregistered
}

// admitPeer settles who calls and whether it may call this method at all.
func (s *Server) admitPeer(ctx context.Context, c *call, fullMethod string) error {
	peer, ok := spiffecreds.PeerFromContext(ctx)
	if !ok || peer.ID.IsZero() {
		return trat.Errorf(trat.ReasonClientUnauthenticated, "", "no verified peer on the connection")
	}
	c.peer = peer.ID
	if peer.Expired(c.start) {
		return trat.Errorf(trat.ReasonPeerSVIDExpired, "", "the peer's certificate is past its NotAfter")
	}
	if td := peer.ID.TrustDomain(); td != s.trustDomain && !s.foreign[td] {
		return trat.Errorf(trat.ReasonPeerDenied, "", "the peer is of trust domain %s", td.Name())
	}
	if c.method == s.unregistered {
		s.logMisconfigured(ctx, fullMethod)
		return trat.Errorf(trat.ReasonPolicyDenied, "", "the method has no rule")
	}
	if !c.method.allowsCaller(peer.ID) {
		return s.refuse(ctx, c, layerRule, trat.Errorf(trat.ReasonPeerDenied, "", "the rule does not name the peer"))
	}
	return nil
}

// admitToken demands, of the context as it came, one valid token.
func (s *Server) admitToken(ctx context.Context, c *call) error {
	raw, err := tokenFromMetadata(ctx)
	if err != nil {
		return err
	}
	c.raw = raw
	if s.failures.exhausted(c.peer, c.start) {
		return trat.Errorf(trat.ReasonRateLimited, "", "too many bad tokens from this peer")
	}
	token, err := s.verifier.Verify(raw)
	if err != nil {
		if errors.Is(err, trat.ReasonTxnTokenInvalid) || errors.Is(err, trat.ReasonTxnTokenMalformed) {
			s.failures.charge(c.peer, c.start)
		}
		return err
	}
	c.token, c.raw = token, "" // a stream keeps the call, and whoever prints the stream prints it
	return nil
}
