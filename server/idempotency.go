package server

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// IdempotencyWindow is how long after its response an Exchange with a request_id can be
// sent again and has the same response.
const IdempotencyWindow = 5 * time.Second

// deduplicate looks whether the request was sent before. It waits for one that is under
// way, takes the response of one that has one, and otherwise makes a the first: then a has
// an entry, which finish completes.
//
// The retry of a request must not be a second transaction, nor fail because its subject
// token was good for one use. Who asks is part of the key, so that a response goes to the
// workload whose token it is and to nobody else.
func (s *Server) deduplicate(ctx context.Context, req *tratv1.ExchangeRequest, a *attempt) error {
	if a.request.id == "" {
		return nil
	}
	key := requestKey{a.requester.ID.String(), a.request.id}
	digest := digestOf(req)
	for {
		entry, first, err := s.responses.begin(key, digest, s.clock())
		if err != nil {
			return err
		}
		if first {
			a.entry = entry
			return nil
		}
		select {
		case <-entry.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		now := s.clock()
		if a.requester.Expired(now) {
			return trat.Errorf(trat.ReasonPeerSVIDExpired, "", "")
		}
		if entry.usable(now) {
			a.cached = entry.response
			return nil
		}
	}
}

// digestOf returns the SHA-256 of all parameters.
func digestOf(req *tratv1.ExchangeRequest) [sha256.Size]byte {
	parameters := [...]string{
		req.GetGrantType(), req.GetAudience(), req.GetScope(), req.GetRequestedTokenType(), req.GetSubjectToken(),
		req.GetSubjectTokenType(), req.GetRequestContext(), req.GetRequestDetails(), req.GetRequestId(),
		req.GetCallChain(),
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
