package server

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// RepeatWindow is how long after its answer an Exchange with a request_id can be sent
	// again and has the same answer.
	RepeatWindow = 5 * time.Second
	// maxAnswers is how many answers are remembered, with a share for each caller: see
	// answers.
	maxAnswers = 16384
)

// answer is what is remembered of an issued token: enough to give it again and to say so
// in the audit log.
type answer struct {
	token  string
	record Record
}

// lives says whether the token has a second left.
func (a *answer) lives(now time.Time) bool { return a.record.Expiry.Sub(now) >= time.Second }

// repeatKey is what makes two requests the same; the rest of them must be equal then.
type repeatKey struct{ requester, id string }

// flight is one request under way, or its answer.
type flight struct {
	key    repeatKey
	digest [sha256.Size]byte // of the whole request
	done   chan struct{}     // closed when the outcome is known
	answer *answer           // nil: refused; read it after done
	until  time.Time         // the answer is given up to here

	inSettled, inOwn *list.Element // once it has an answer
}

// answers remember what was issued for requests with a request_id. Refusals are not
// remembered. A caller may have at most as many answers here as there is room left, as
// with seats; beyond that its own oldest one makes room, so that nobody drives those of
// others out. Safe for concurrent use.
type answers struct {
	room int

	mu      sync.Mutex
	flights map[repeatKey]*flight
	// Flights that have an answer, the oldest first: all of them, and those of each
	// requester, none of which is empty.
	settled *list.List
	own     map[string]*list.List
}

func newAnswers(room int) *answers {
	return &answers{room: room, flights: make(map[repeatKey]*flight), settled: list.New(), own: make(map[string]*list.List)}
}

// join returns the flight of a request: an earlier one, or a new one, which the caller
// must settle. A request_id that was used for another request is an error.
func (s *answers) join(key repeatKey, digest [sha256.Size]byte, now time.Time) (f *flight, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.settled.Len() > 0 && !now.Before(oldest(s.settled).until) {
		s.forget(oldest(s.settled))
	}
	if f, ok := s.flights[key]; ok && f.usable(now) {
		if f.digest != digest {
			return nil, false, trat.Errorf(trat.ReasonParameterInvalid, fieldRequestID, "it was used for another request")
		}
		return f, false, nil
	}
	f = &flight{key: key, digest: digest, done: make(chan struct{})}
	s.flights[key] = f
	return f, true, nil
}

// usable says whether f is under way or has an answer that can still be given.
func (f *flight) usable(now time.Time) bool {
	select {
	case <-f.done:
		return f.answer != nil && now.Before(f.until) && f.answer.lives(now)
	default:
		return true
	}
}

// settle ends a flight: with what was issued, or nil for a refusal.
func (s *answers) settle(f *flight, issued *answer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.answer, f.until = issued, now.Add(RepeatWindow)
	close(f.done)
	if issued == nil {
		delete(s.flights, f.key)
		return
	}
	own := s.own[f.key.requester]
	switch free := s.room - s.settled.Len(); {
	case own != nil && own.Len() >= free:
		s.forget(oldest(own))
	case free <= 0: // for as many requesters as there is room
		s.forget(oldest(s.settled))
	}
	if own = s.own[f.key.requester]; own == nil { // it may just have become empty
		own = list.New()
		s.own[f.key.requester] = own
	}
	f.inSettled, f.inOwn = s.settled.PushBack(f), own.PushBack(f)
}

// oldest returns the first flight of a list that is not empty.
func oldest(l *list.List) *flight {
	return l.Front().Value.(*flight) //nolint:errcheck,forcetypeassert // there is nothing else in it
}

// forget drops an answer. Its key may have another flight by now.
func (s *answers) forget(f *flight) {
	own := s.own[f.key.requester]
	s.settled.Remove(f.inSettled)
	if own.Remove(f.inOwn); own.Len() == 0 {
		delete(s.own, f.key.requester)
	}
	if s.flights[f.key] == f {
		delete(s.flights, f.key)
	}
}

// repeated looks whether the request was sent before. It waits for one that is under
// way, takes the answer of one that has one, and otherwise makes a the first: then a has a
// flight, which finish settles.
//
// The retry of a request must not be a second transaction, nor fail because its subject
// token was good for one use. Who asks is part of the key, so that an answer goes to the
// workload whose token it is and to nobody else.
func (s *Server) repeated(ctx context.Context, req *tratv1.ExchangeRequest, a *attempt) error {
	if a.request.id == "" {
		return nil
	}
	key := repeatKey{a.requester.ID.String(), a.request.id}
	digest := digestOf(req)
	for {
		f, first, err := s.answers.join(key, digest, s.clock())
		if err != nil {
			return err
		}
		if first {
			a.flight = f
			return nil
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		now := s.clock()
		if a.requester.Expired(now) {
			return trat.Errorf(trat.ReasonPeerSVIDExpired, "", "")
		}
		if f.usable(now) {
			a.repeats = f.answer
			return nil
		}
	}
}

// digestOf returns the SHA-256 of all parameters.
func digestOf(req *tratv1.ExchangeRequest) [sha256.Size]byte {
	parameters := [...]string{
		req.GetGrantType(), req.GetAudience(), req.GetScope(), req.GetRequestedTokenType(), req.GetSubjectToken(),
		req.GetSubjectTokenType(), req.GetRequestContext(), req.GetRequestDetails(), req.GetRequestId(),
	}
	size := 0
	for _, p := range parameters {
		size += 4 + len(p)
	}
	text := make([]byte, 0, size)
	for _, p := range parameters {
		text = binary.BigEndian.AppendUint32(text, uint32(len(p))) //nolint:gosec // parse has bounded it
		text = append(text, p...)
	}
	return sha256.Sum256(text)
}
