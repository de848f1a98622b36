package client

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// Pauses between turns that ended early grow from firstPause to maxPause, and vary by
	// pauseJitter either way.
	firstPause  = 100 * time.Millisecond
	maxPause    = 10 * time.Second
	pauseFactor = 2
	pauseJitter = 0.2

	// fullTurn is how long a turn lasts at least that did not end early, unless its TraT was
	// for hardly longer.
	fullTurn = time.Second

	// maxRetryDelay is as long as a called service can make the next turn wait.
	maxRetryDelay = time.Minute
)

// Reopen keeps long work going that ends each time its TraT expires, such as reading from a
// stream that is closed at exp: it runs use in a transaction, and if use ends because the
// TraT has expired, in another one, until use returns nil or any other error, which is
// returned as it is, or ctx is done.
//
//	err := tts.Reopen(ctx, request, func(ctx context.Context) error {
//		stream, err := orders.Watch(ctx, &pb.WatchRequest{After: position})
//		if err != nil {
//			return err
//		}
//		for {
//			event, err := stream.Recv()
//			if err != nil {
//				return err
//			}
//			position = event.GetPosition()
//			...
//		}
//	})
//
// A TraT has expired if the error of use has the reason TXN_TOKEN_EXPIRED, whether the
// called service says so or the carrier. use has to return it as it got it, or wrapped with
// %w, and has to know where it left off: what was sent and not answered may have arrived.
//
// request is asked before each turn, because subject tokens expire as well, and some are
// good for one use (SignSubject). Its error is returned. Each turn is a transaction of its
// own, with an id of its own: RequestID must be empty or new (PARAMETER_INVALID of
// "request_id"), and a replacement is refused as by Transact. The context of a turn ends
// when use has returned. Errors of Exchange end the work too: for a token service that is
// away for longer than Exchange tries, call Reopen again.
//
// There is no pause after a turn that lasted for a second, or for half of its TraT's life if
// that is less. After one that did not, as when the clocks of both sides disagree, it is
// 100 ms, and after each further one twice as long, up to 10 s, 20 % more or less; each is
// logged. If the called service asks for a longer pause (google.rpc.RetryInfo), it gets it, up to a minute. A ctx
// that is done, or a Client that is closed, ends the work during a pause with the last error
// of use. Safe for concurrent use.
func (c *Client) Reopen(ctx context.Context, request func(context.Context) (Request, error), use func(context.Context) error) error {
	var last turn
	for early := 0; ; {
		next, err := c.nextTurn(ctx, request, last)
		if err != nil {
			return err
		}
		last = next
		begun := c.clock()
		err = within(ctx, last.token, use)
		if err == nil || ctx.Err() != nil || !hasExpired(err) {
			return err
		}
		pause := retryDelay(err)
		if c.clock().Sub(begun) >= min(fullTurn, last.token.Expiry().Sub(last.token.IssuedAt())/2) {
			early = 0
		} else {
			early++
			pause = max(pause, pauseAfter(early))
			c.tellEarly(ctx, early, pause)
		}
		if !c.rest(ctx, pause) {
			return err
		}
	}
}

// turn is one transaction of Reopen.
type turn struct {
	requestID string
	token     *trat.Token
}

// nextTurn begins a transaction that is not the last one.
func (c *Client) nextTurn(ctx context.Context, request func(context.Context) (Request, error), last turn) (turn, error) {
	r, err := request(ctx)
	if err != nil {
		return turn{}, err
	}
	if r.RequestID != "" && r.RequestID == last.requestID {
		return turn{}, localError(trat.Errorf(trat.ReasonParameterInvalid, "request_id", "that of the last transaction"))
	}
	token, err := c.begin(ctx, r)
	if err != nil {
		return turn{}, err
	}
	if last.token != nil && token.TransactionID() == last.token.TransactionID() {
		return turn{}, answerError("txn", errors.New("not a new transaction"))
	}
	return turn{requestID: r.RequestID, token: token}, nil
}

// tellEarly logs a turn that ended as soon as it had begun.
func (c *Client) tellEarly(ctx context.Context, early int, pause time.Duration) {
	c.log.LogAttrs(ctx, slog.LevelWarn, "a TraT was refused as expired right after it was issued",
		slog.String(string(semconv.ErrorType), string(trat.ReasonTxnTokenExpired)),
		slog.Int("in_a_row", early), slog.Duration("pause", pause))
}

// rest waits, and reports whether it may go on then.
func (c *Client) rest(ctx context.Context, pause time.Duration) bool {
	if pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.closed:
	}
	return false
}

// hasExpired reports whether err says that a TraT has expired, by the word of this process
// or of a called one.
func hasExpired(err error) bool {
	if errors.Is(err, trat.ReasonTxnTokenExpired) {
		return true
	}
	reason, _ := grpcerr.ReasonFrom(err)
	return reason == trat.ReasonTxnTokenExpired
}

// retryDelay is the pause that a called service asks for.
func retryDelay(err error) time.Duration {
	st, _ := status.FromError(err)
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return min(max(0, info.GetRetryDelay().AsDuration()), maxRetryDelay)
		}
	}
	return 0
}

// pauseAfter is the pause after so many early turns in a row.
func pauseAfter(early int) time.Duration {
	d := firstPause
	for range early - 1 {
		if d *= pauseFactor; d >= maxPause {
			d = maxPause
			break
		}
	}
	//nolint:gosec // spreads load, guards nothing
	return time.Duration(float64(d) * (1 + pauseJitter*(2*rand.Float64()-1)))
}
