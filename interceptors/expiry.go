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

// outlives returns from when on a stream has outlived token.
func (e *expiry) outlives(token *trat.Token) time.Time { return token.Expiry().Add(e.leeway) }
