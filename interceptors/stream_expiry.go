package interceptors

import (
	"time"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat"
)

// expiry is what the rule of a method says about the end of its streams.
type expiry struct {
	rules.Stream
	leeway time.Duration // of the verifier: for so long after exp a token still counts
}

// expiry returns that of m. A rule that leaves it open closes at exp.
func (s *Server) expiry(m *method) expiry {
	e := expiry{leeway: s.verifier.Leeway()}
	if m.program != nil {
		e.Stream = m.program.Rule.Stream
	}
	return e
}

// end returns when a stream ends that was opened at opened and whose present token is token,
// nil if it has none. The zero time stands for never.
func (e *expiry) end(opened time.Time, token *trat.Token) time.Time {
	var end time.Time
	if e.MaxAge > 0 {
		end = opened.Add(e.MaxAge)
	}
	if token == nil || e.Expiry == rules.ExpiryOpenOnly {
		return end
	}
	last := e.outlives(token)
	if e.Expiry == rules.ExpiryGrace {
		last = last.Add(e.Grace)
	}
	if end.IsZero() || last.Before(end) {
		return last
	}
	return end
}

// headStart is how long before a deadline that is of its token the guard ends a stream, so
// that handler and peer learn why: of two timers for one moment either may be first.
const headStart = 5 * time.Millisecond

// endCause is what brings a stream to its end.
type endCause uint8

const (
	byRule   endCause = iota // which the guard sees to
	byToken                  // which the deadline of the stream's context was taken from
	byCaller                 // whose deadline is earlier than anything that the rule or the token says
)

// ending is when a stream ends, by the guard's clock.
type ending struct {
	rule time.Time // as the rule says; zero: never, and then at is too
	at   time.Time // not later, for the deadline of the stream's context may be earlier
	by   endCause  // of at
}

// ending returns that of a stream as end has it, whose context has the deadline; zero for
// none. A deadline is the token's if it comes as the token expires, or after that.
func (e *expiry) ending(opened, deadline time.Time, token *trat.Token) ending {
	rule := e.end(opened, token)
	switch {
	case rule.IsZero() || deadline.IsZero() || !deadline.Before(rule):
		return ending{rule: rule, at: rule}
	case token != nil && !deadline.Before(token.Expiry().Add(-deadlineSlack)) && deadline.Before(e.outlives(token)):
		return ending{rule: rule, at: deadline.Add(-headStart), by: byToken}
	default:
		return ending{rule: rule, at: deadline, by: byCaller}
	}
}

// outlives returns from when on a stream has outlived token.
func (e *expiry) outlives(token *trat.Token) time.Time { return token.Expiry().Add(e.leeway) }
