package interceptors

import (
	"context"
	"crypto/sha256"
	"errors"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// chainCall is what the guard found out about the chain of a call.
type chainCall struct {
	chain       *callchain.Chain // nil unless it was verified
	chainResult string           // one of semconv's; "" while the chain was not looked at
	received    callchain.Trace  // as traceparent has it
	trace       traceMatch
	// encodedHash is of the chain as it was received, for the chain log only.
	encodedHash [sha256.Size]byte
}

// admitChain demands, of the context as it came, the chain that the method requires.
func (s *Server) admitChain(ctx context.Context, c *call, fullMethod string) error {
	if c.method.chain == callchain.ModeOff {
		c.chainResult = semconv.ChainResultOff
		return nil
	}
	err := s.verifyChain(ctx, c, fullMethod)
	if err != nil {
		c.chainResult = semconv.ChainResultOf(string(reasonOf(err)))
		return err
	}
	c.chainResult = semconv.ChainResultOK
	if c.method.chain == callchain.ModePath {
		if err := c.method.judgeChain(c.token, c.chain); err != nil {
			if reason := reasonOf(err); reason != trat.ReasonPolicyDenied { // for which the chain is good
				c.chainResult = semconv.ChainResultOf(string(reason))
			}
			return err
		}
	}
	c.received = receivedTrace(ctx)
	c.trace = matchTrace(c.received, c.chain.Last().Trace())
	if c.method.program.Rule.Chain.StrictTrace && c.trace != traceMatches {
		c.chainResult = semconv.ChainResultLinkInvalid
		return trat.Errorf(trat.ReasonChainLinkInvalid, "sid", "the received traceparent is not the span that the caller signed")
	}
	return nil
}

// verifyChain sets c.chain. A malformed chain and one that had to be looked at closely and
// turned out bad count toward the peer's failures, like bad tokens.
func (s *Server) verifyChain(ctx context.Context, c *call, fullMethod string) (err error) {
	encoded, err := chainFromMetadata(ctx)
	if err != nil {
		s.failures.charge(c.peer, c.start)
		return err
	}
	if s.chainLog != nil && encoded != "" {
		c.encodedHash = sha256.Sum256([]byte(encoded))
	}
	peer, _ := spiffecreds.PeerFromContext(ctx)
	c.chain, err = s.chains.Verify(callchain.Received{
		Encoded:  encoded,
		Audience: s.id,
		Method:   fullMethod,
		Token:    c.token,
		Peer:     callchain.Peer{ID: peer.ID, Leaf: peer.Leaf, Intermediates: peer.Intermediates},
		Mode:     c.method.chain,
	})
	if err == nil {
		return nil
	}
	if isCostly(err) {
		s.failures.charge(c.peer, c.start)
	}
	return err
}

// isCostly tells what is no chain, and one whose certificates or signatures are bad, from one
// that is good but late, or of another call, which was cheap to see.
func isCostly(err error) bool {
	var failure *trat.Error
	if !errors.As(err, &failure) || failure.Reason != trat.ReasonChainLinkInvalid {
		return false
	}
	switch failure.Field {
	case callchain.MetadataKey, callchain.FieldCertificate, callchain.FieldSignature:
		return true
	}
	return false
}

// chainFromMetadata returns the one value of txn-chain in ctx's incoming metadata, "" if
// there is none.
func chainFromMetadata(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, callchain.MetadataKey)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", trat.Errorf(trat.ReasonChainLinkInvalid, callchain.MetadataKey, "%d values", len(values))
	}
}

// record gives c to the chain log, if there is one and the chain was looked at.
func (s *Server) record(ctx context.Context, c *call, fullMethod string) {
	if s.chainLog == nil || c.chainResult == "" {
		return
	}
	r := callchain.Record{
		Time:     c.start,
		Server:   s.id,
		Peer:     c.peer,
		Method:   fullMethod,
		Mode:     c.method.chain,
		Token:    c.token,
		Chain:    c.chain,
		Encoded:  c.encodedHash,
		Result:   c.chainResult,
		Received: c.received,
		Span:     traceOf(trace.SpanContextFromContext(ctx)),
	}
	switch {
	case c.err != nil:
		r.Reason = reasonOf(c.err)
	case c.chain == nil:
		r.Mode = callchain.ModeOff // a mode that is not strict required none
	}
	s.chainLog.Record(ctx, r)
}
