package interceptors

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// StreamEnd returns when the stream ends whose handler ctx is of, as its method's rule says:
// at its TraT's exp and the verifier's leeway, or a grace period after that, or when the
// stream has reached its greatest age, whichever is first; and not after the deadline of
// ctx, which Client sets to exp. Reverify moves all but the deadline. ok is false for a
// stream that the rule sets no end, whatever its deadline, and where there is no stream of a
// guard.
//
// At the end the peer gets UNAUTHENTICATED with TXN_TOKEN_EXPIRED and the hint
// REOPEN_WITH_NEW_TOKEN, at once and whatever the handler does, even if it is the age that
// has been reached and the TraT is still good: in either case another stream may be opened.
// The handler's context ends with an *trat.Error as its cause, and what the stream receives
// or sends fails with the peer's status; a handler that waits in either wakes. What it
// returns is of no account any more.
//
// So does a stream whose deadline comes as its TraT expires, or up to 50 ms before that: the
// guard ends it some milliseconds before the deadline, and counts and logs it as expired,
// even if the peer hangs up first, for whom it is the deadline already. Then the cause
// is that of ctx. A deadline that is earlier is the caller's own, and nothing of the guard.
//
// Under a rule that is not strict the end is reported, once, and the stream goes on. Should
// Server.Tighten make the method strict, it ends with its next message. Of a deadline
// nothing is reported then.
//
// The transport must be grpc-go's own. On others a handler that waits for a message wakes
// only when one arrives, of which it sees nothing.
//
// The end comes by a timer, which runs by real time, or with the first message that is
// received or sent when the guard's clock (WithClock) has passed it. So under a clock that a
// test moves, as that of package trattest, the next message ends the stream, and without one
// nothing does: for that use testing/synctest, where d.Advance(by) and then time.Sleep(by)
// let both times pass. Package trattest has an example of each, in example_stream_test.go.
func StreamEnd(ctx context.Context) (end time.Time, ok bool) {
	live, ok := ctx.Value(streamKey{}).(*liveStream)
	if !ok {
		return time.Time{}, false
	}
	live.mu.Lock()
	defer live.mu.Unlock()
	return live.ending.at, !live.ending.at.IsZero()
}

// StreamDraining returns a channel that is closed a while before the end (StreamEnd) of the
// stream whose handler ctx is of, as long as the method's rule says, so that the handler can
// bring the stream to an end by itself. It is nil, and so never closed, where the rule says
// nothing about it, or the stream has no end. It is not closed under a rule that is not
// strict. After Reverify ask for it again: the new end has a new one.
func StreamDraining(ctx context.Context) <-chan struct{} {
	live, ok := ctx.Value(streamKey{}).(*liveStream)
	if !ok {
		return nil
	}
	live.mu.Lock()
	defer live.mu.Unlock()
	return live.draining
}

// alarm is a *time.Timer.
type alarm interface {
	Stop() bool
	Reset(d time.Duration) bool
}

// setAlarm is time.AfterFunc, as an alarm.
func setAlarm(d time.Duration, f func()) alarm { return time.AfterFunc(d, f) }

// lifetime is when a stream ends and when its handler is told.
type lifetime struct {
	opened   time.Time
	deadline time.Time // of the stream's context, by the guard's clock; zero: none
	expiry   expiry

	mu       sync.Mutex
	ending   ending
	alarm    alarm         // nil: there was never anything to wait for
	draining chan struct{} // nil: the handler is not told
	told     bool          // draining is closed, or was to be
	over     bool          // the end was reached
	next     atomic.Int64  // when there is something to do, in microseconds since 1970; 0: never. Set with mu held
	finished atomic.Bool   // the handler has returned; set with mu held
	kept     atomic.Bool   // the end was reached, and the stream goes on
}

// begin looks after the end of the stream, whose token is token, from now on.
func (s *liveStream) begin(token *trat.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setEnd(token)
}

// setEnd makes the end that of a stream with token. s.mu is held.
func (s *liveStream) setEnd(token *trat.Token) {
	end := s.expiry.ending(s.opened, s.deadline, token)
	moved := !end.rule.Equal(s.ending.rule)
	s.ending = end
	if end.rule.IsZero() || s.finished.Load() || s.over && !moved {
		return
	}
	s.over = false
	s.kept.Store(false)
	if s.expiry.Drain > 0 && (s.draining == nil || s.told) {
		s.draining, s.told = make(chan struct{}), false
	}
	s.sleep(s.server.clock())
}

// strict reports whether the end is one now, and not only to be reported.
func (s *liveStream) strict() bool { return s.first.call.method.enforcement() == EnforceStrict }

// acts returns when the guard ends the stream, or reports that a strict rule would. A
// deadline of the caller, or one that a strict rule would not look at, is the transport's to
// see to. s.mu is held.
func (s *liveStream) acts() time.Time {
	if s.ending.by == byToken && s.strict() {
		return s.ending.at
	}
	return s.ending.rule
}

// drains returns when the handler is told of the end. s.mu is held.
func (s *liveStream) drains() time.Time { return s.ending.at.Add(-s.expiry.Drain) }

// sleep sets the alarm to what is to be done next. s.mu is held.
func (s *liveStream) sleep(now time.Time) {
	next := s.acts()
	if s.draining != nil && !s.told {
		next = s.drains()
	}
	s.next.Store(next.UnixMicro()) // which, unlike nanoseconds, has room for the greatest age
	if d := next.Sub(now); s.alarm != nil {
		s.alarm.Reset(d)
	} else {
		s.alarm = s.server.streams.setAlarm(d, s.wake)
	}
}

// wake does what is to be done by now.
func (s *liveStream) wake() {
	if s.due() {
		s.expire()
	}
}

// due tells the handler if it is time to, and reports whether the stream has reached its
// end; once. The clock is asked because the alarm may have been set before a renewal, and
// need not run like the clock.
func (s *liveStream) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.server.clock()
	if s.over || s.finished.Load() {
		return false
	}
	if s.draining != nil && !s.told && !now.Before(s.drains()) {
		s.told = true
		if s.strict() {
			close(s.draining)
		}
	}
	if now.Before(s.acts()) {
		s.sleep(now)
		return false
	}
	s.over = true
	s.next.Store(0)
	return true
}

// expire ends the stream, or reports that a strict rule would. That the context has ended
// does not say that the stream has: an interceptor outside the guard may have ended it.
func (s *liveStream) expire() {
	c := s.judged()
	err := s.server.refuse(s.ctx, &c, layerRule,
		trat.Errorf(trat.ReasonTxnTokenExpired, "exp", "the stream has reached the end that the rule sets it"))
	if err == nil {
		if s.kept.CompareAndSwap(false, true) {
			s.server.streams.count(s.ctx, semconv.StreamActionKept)
		}
		return
	}
	if st := grpcerr.StreamEnded(); s.deny(st) {
		s.server.reportEnd(s)
		s.close(err, st)
	}
}

// atMessage does what is to be done by now, should the clock have got there before the
// alarm: that of a test does, and one that went on while the machine was suspended. It ends
// a stream that was kept open beyond its end if its method is strict now. Streams that have
// no end cost no look at the clock.
func (s *liveStream) atMessage() {
	if next := s.next.Load(); next != 0 && s.server.clock().UnixMicro() >= next {
		s.wake()
	}
	if s.kept.Load() && s.strict() {
		s.expire()
	}
}

// judged returns the call as the guard has judged it, for another goroutine than that which
// checks messages.
func (s *liveStream) judged() call {
	c := &s.current.Load().call
	own := call{method: c.method, peer: c.peer, token: c.token, start: c.start, chainCall: c.chainCall, noted: &s.wouldDeny}
	if known := s.wouldDeny.Load(); known != nil {
		own.wouldDeny = *known
	}
	return own
}

// finish puts away what the stream needed, when its handler has returned.
func (s *liveStream) finish() {
	s.mu.Lock()
	over, drained, expired := s.over, s.wasTold() && s.ending.by != byCaller, s.expiredFirst()
	s.finished.Store(true)
	s.next.Store(0)
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.mu.Unlock()
	s.cancel(nil)
	switch c := &s.current.Load().call; {
	case over || c.token == nil || s.denial.Load() != nil:
	case expired:
		s.server.reportEnd(s)
	case drained:
		s.server.streams.count(s.ctx, semconv.StreamActionDrained)
	case s.server.clock().After(s.expiry.outlives(c.token)):
		s.server.streams.count(s.ctx, semconv.StreamActionKept)
	}
}

// expiredFirst reports whether the context of the stream has ended, as its token expired,
// before the guard got to end it: by the deadline, or by the peer, whose own is earlier by
// what the call took to come here. s.mu is held.
func (s *liveStream) expiredFirst() bool {
	if s.ending.by != byToken || !s.strict() || s.ctx.Err() == nil {
		return false
	}
	from := s.ending.at
	if exp := s.current.Load().call.token.Expiry(); exp.Before(from) {
		from = exp
	}
	return !s.server.clock().Before(from.Add(-deadlineSlack))
}

// wasTold reports whether the handler was told of the end that is next. s.mu is held.
func (s *liveStream) wasTold() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// renew makes c what the stream was admitted with last, and moves its end. s.renewals is
// held.
func (s *liveStream) renew(c call) error {
	renewed := &admitted{call: c, checks: c.checksMessages(), ctx: withCredentials(s.ctx, &c)}
	renewed.call.noted = &s.wouldDeny
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ended(); err != nil {
		return err
	}
	s.current.Store(renewed)
	if s.origin == nil {
		s.origin = c.token
	}
	s.setEnd(c.token)
	s.server.streams.count(s.ctx, semconv.StreamActionRenewed)
	return nil
}
