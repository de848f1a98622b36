package interceptors

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// defaultReplayLimit is how many links a guard remembers: at the default lifetime and
// leeway, those of 13,000 calls a second. A full store takes some 13 MB.
const defaultReplayLimit = 1 << 18

// ReplayOverflow says what becomes of a call whose link there is no room to remember:
// the guard holds as many as WithReplayLimit allows, or the peer has more than its share
// of them.
type ReplayOverflow uint8

const (
	// ReplayOverflowAllow lets the call through and counts and logs that it did: for the
	// life of its link the same peer could make the same call again. It is the default.
	ReplayOverflowAllow ReplayOverflow = iota + 1
	// ReplayOverflowDeny refuses it, with RATE_LIMITED when it is for the peer's share,
	// else with DEPENDENCY_UNAVAILABLE.
	ReplayOverflowDeny
)

// replays is what a guard remembers of the calls that it has accepted. It is safe for
// concurrent use.
type replays struct {
	limit         int
	overflow      ReplayOverflow
	singleReplica bool
	shared        replay.Store   // of WithOnceStore; nil without
	links         *replay.Memory // for jti
	once          replay.Store   // nil when nobody said where
	onceLocal     *replay.Memory // once, when it is local; else nil
	logs          *limitedLog    // of overflows
}

var errNowhereOnce = errors.New("a rule with Once needs WithOnceStore, or SingleReplica where there is no other replica")

// init makes the stores, after all options were applied.
func (r *replays) init(clock trat.Clock, needsOnce bool) (err error) {
	if r.singleReplica && r.shared != nil {
		return errors.New("WithOnceStore and SingleReplica exclude each other")
	}
	if needsOnce && !r.singleReplica && r.shared == nil {
		return errNowhereOnce
	}
	if r.links, err = replay.NewMemory(r.limit, clock); err != nil {
		return err
	}
	r.once = r.shared
	if r.singleReplica {
		r.onceLocal, err = replay.NewMemory(r.limit, clock)
		r.once = r.onceLocal
	}
	return err
}

// markUsed notes that c is accepted, so that it is not accepted again. It is the last of
// all checks: what is refused for another reason may be sent again as it was, unless the
// reason is that the store of Once failed.
func (s *Server) markUsed(ctx context.Context, c *call, fullMethod string, req any) error {
	mode := c.method.program.Rule.Replay
	if c.chain != nil && mode != rules.ReplayOff {
		if err := s.markLink(ctx, c); err != nil {
			return err
		}
	}
	if mode == rules.ReplayOnce && !c.continued {
		return s.markRequest(ctx, c, fullMethod, req)
	}
	return nil
}

// markLink accepts a link once. What replays can be stopped here are those of the peer
// itself, for nobody else's call gets so far with its link; so the memory of this
// process suffices.
func (s *Server) markLink(ctx context.Context, c *call) error {
	link := c.chain.Last()
	id := link.ID()
	key := replayKey("jti", link.Issuer().String(), string(id[:]))
	until := link.Expiry().Add(s.verifier.Leeway()) // for as long it would be accepted
	// A call that was given up is marked too: its handler may run yet.
	fresh, err := s.replays.links.Mark(context.WithoutCancel(ctx), c.peer.String(), key, until)
	switch {
	case fresh:
		return nil
	case err == nil:
		return s.replayed(ctx, c, semconv.ReplayModeJTI, trat.Errorf(trat.ReasonChainReplayed, "jti", "the link was accepted before"))
	case errors.Is(err, replay.ErrExpired): // a moment after its expiry was judged
		return &trat.Error{Reason: trat.ReasonChainLinkInvalid, Field: "exp", Err: err}
	case s.replays.overflow == ReplayOverflowDeny || c.method.program.Rule.Replay == rules.ReplayOnce:
		return s.replayed(ctx, c, semconv.ReplayModeJTI, overflowError(semconv.ReplayModeJTI, err))
	}
	s.telemetry.chain.overflows.Add(ctx, 1)
	s.replays.logs.warn(ctx, &s.settings, "TraT guard has no room to remember a link, and accepts it nevertheless",
		slog.String(string(semconv.ChainPeerID), peerName(c.peer)),
		slog.String("cause", err.Error()))
	return nil
}

// markRequest accepts a request of a transaction once.
func (s *Server) markRequest(ctx context.Context, c *call, fullMethod string, req any) error {
	hash, err := onceHash(req)
	if err != nil {
		return &trat.Error{Reason: trat.ReasonInternal, Err: err}
	}
	key := replayKey("once", c.token.TransactionID(), fullMethod, hash)
	fresh, err := s.replays.once.Mark(ctx, c.peer.String(), key, transactionEnd(c.token))
	switch {
	case fresh && err == nil:
		return nil
	case err == nil:
		return s.replayed(ctx, c, semconv.ReplayModeOnce, trat.Errorf(trat.ReasonChainReplayed, "once", "the request was accepted before"))
	default:
		return s.replayed(ctx, c, semconv.ReplayModeOnce, overflowError(semconv.ReplayModeOnce, err))
	}
}

// transactionEnd is until when a guard could accept any TraT of token's transaction. It may
// be replaced by others that live longer, and no policy lets these outlive MaxLifetime since
// the first (docs/policy.md).
func transactionEnd(token *trat.Token) time.Time {
	end := token.Claims().FirstIssuedAt().Add(trat.MaxLifetime)
	if exp := token.Expiry(); exp.After(end) {
		end = exp
	}
	return end.Add(trat.MaxLeeway)
}

// overflowError is the refusal for the store of mode, which could not remember.
func overflowError(mode string, err error) error {
	if errors.Is(err, replay.ErrShare) {
		return &trat.Error{Reason: trat.ReasonRateLimited, Field: mode, Err: err}
	}
	return &trat.Error{Reason: trat.ReasonDependencyUnavailable, Field: mode, Err: err}
}

// replayed counts a refusal and returns it.
func (s *Server) replayed(ctx context.Context, c *call, mode string, err error) error {
	reason := reasonOf(err)
	if reason == trat.ReasonChainReplayed {
		c.chainResult = semconv.ChainResultReplayed
	}
	s.telemetry.chain.reportRejection(ctx, mode, reason)
	return err
}

// onceHash returns the hash of a unary request, "" for a stream. A message that is not
// of protobuf has none either: of such a method one call is accepted per transaction.
func onceHash(req any) (string, error) {
	message, ok := req.(proto.Message)
	if !ok {
		return "", nil
	}
	hash, err := requestHash(message)
	return string(hash[:]), err
}

// replayKey is a key of a replay.Store: a hash of the parts, each with its length, so
// that no two lists of parts have the same.
func replayKey(parts ...string) string {
	var scratch [256]byte
	buf := scratch[:0]
	for _, part := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(part))) //nolint:gosec // bounded by what a call can carry
		buf = append(buf, part...)
	}
	sum := sha256.Sum256(buf)
	return string(sum[:])
}
