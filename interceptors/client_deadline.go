package interceptors

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// DefaultMinRemaining is how long a TraT must still be good for, so that a call with it
	// is started.
	DefaultMinRemaining = 100 * time.Millisecond

	maxMinRemaining = time.Minute

	// deadlineSlack is how far a server's clock may have run ahead of this process's in the
	// course of a call: it may report the deadline that both know before the timer here does.
	deadlineSlack = 50 * time.Millisecond
)

// WithMinRemaining sets how long the TraT of a call must still be good for: with less left,
// an attempt is refused here, with TXN_TOKEN_EXPIRED, because the answer could not come in
// time. Zero leaves the expiry alone; the most is one minute, the default
// DefaultMinRemaining.
func WithMinRemaining(d time.Duration) ClientOption {
	return clientOption(func(c *Client) error {
		if d < 0 || d > maxMinRemaining {
			return fmt.Errorf("WithMinRemaining: %s is not within 0 and %s", d, maxMinRemaining)
		}
		c.minRemaining = d
		return nil
	})
}

// endOf returns the deadline that a call gets from its TraT; zero if it gets none, or the
// caller's is not later.
func (c *Client) endOf(ctx context.Context, out *outbound) time.Time {
	if out.token == nil {
		return time.Time{}
	}
	end := c.wall().Add(out.left)
	if deadline, ok := ctx.Deadline(); ok && !end.Before(deadline) {
		return time.Time{}
	}
	return end
}

// explain says in err that the TraT has expired, if it was the deadline end that ended the
// call, by the mark of such a status. The code stays DEADLINE_EXCEEDED: no guard has refused
// anything.
func (c *Client) explain(end time.Time, err error, mark func(*status.Status) *status.Status) error {
	st, ok := status.FromError(err)
	if !ok || st.Code() != codes.DeadlineExceeded || c.wall().Before(end.Add(-deadlineSlack)) {
		return err
	}
	return mark(st).Err()
}

// markExpired is for calls.
func markExpired(st *status.Status) *status.Status {
	return grpcerr.Marked(st, trat.ReasonTxnTokenExpired)
}

// endingStream is a stream that ends with its TraT.
type endingStream struct {
	grpc.ClientStream
	client *Client
	end    time.Time
	// release frees the timer; called when the stream has ended. A stream that is left
	// before ends with the caller's context, and the timer with it.
	release context.CancelFunc
	answers bool // the server streams
}

// RecvMsg implements grpc.ClientStream.
func (s *endingStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && s.answers {
		return nil
	}
	return s.ended(err)
}

// SendMsg implements grpc.ClientStream. Its io.EOF says that RecvMsg has the status.
func (s *endingStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if _, ok := status.FromError(err); err == nil || !ok {
		return err
	}
	return s.ended(err)
}

// ended returns what the application gets for the error that the stream ended with.
func (s *endingStream) ended(err error) error {
	s.release()
	return s.client.explain(s.end, err, grpcerr.MarkedStreamEnded)
}
