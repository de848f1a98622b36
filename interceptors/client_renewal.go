package interceptors

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Renewable is for a stream for which the application sends new TraTs itself, see
// Client.Renewal. Such a stream keeps the caller's deadline: without Renewable one that is
// closed at exp would get that of the TraT that it was opened with, which no renewal can
// lengthen. It changes nothing for unary calls, nor about when the called service closes the
// stream.
func Renewable() grpc.CallOption { return renewable{} }

type renewable struct{ grpc.EmptyCallOption }

func isRenewable(opts []grpc.CallOption) bool {
	return slices.ContainsFunc(opts, func(opt grpc.CallOption) bool {
		_, ok := opt.(renewable)
		return ok
	})
}

// carriedKey is of the carriedStream in the context of a stream that a carrier has opened.
type carriedKey struct{}

type carriedStream struct {
	method    string // in full
	renewable bool
}

// Renewal returns what an application sends on an open stream, as a field of a message of
// its own, so that the stream may outlive the TraT that it was opened with: the TraT of ctx,
// which trat.NewContext has put there, and a chain with a link for the stream's method and
// the server at its other end, as a new call with ctx would carry it. The handler gives it to
// Reverify. The TraT must have the subject of the first one and no more scope; that is the
// called service's to check.
//
//	renewed, err := tts.Exchange(ctx, request) // a new transaction for the same subject
//	...
//	renewal, err := carrier.Renewal(trat.NewContext(ctx, renewed), stream)
//	...
//	err = stream.Send(&pb.Request{Renewal: renewal})
//
// stream must have been opened through this carrier, with the call option Renewable. After
// this grpc-go does not retry it any more: the link is for the server that it is with.
//
// The message holds the token itself and is for this stream only. It is good for the time of
// one call: send it at once. Refusals are those of a call: TXN_TOKEN_MISSING,
// TXN_TOKEN_EXPIRED, CHAIN_TOO_DEEP, EGRESS_BLOCKED and PEER_SVID_EXPIRED; a stream that is
// not renewable is INTERNAL. The error has the cause, which no peer is told, as an *trat.Error
// (errors.As). Safe for concurrent use.
func (c *Client) Renewal(ctx context.Context, stream grpc.ClientStream) (*tratv1.StreamRenewal, error) {
	opened := stream.Context()
	carried, _ := opened.Value(carriedKey{}).(carriedStream)
	conn, _ := peer.FromContext(opened) //nolint:contextcheck // the stream knows whom it is with
	if conn == nil {
		conn = &peer.Peer{}
	}
	renewal, err := c.renew(ctx, opened, carried, conn)
	if gone := ctx.Err(); gone != nil && errors.Is(err, gone) {
		return nil, status.FromContextError(gone).Err() // while its link waited to be signed
	}
	if err != nil {
		server, _ := spiffecreds.PeerFromAuthInfo(conn.AuthInfo)
		told := c.refuse(ctx, refusal{method: carried.method, server: server.ID, err: err})
		return nil, noRenewal{error: told, cause: err}
	}
	return renewal, nil
}

// noRenewal is a refusal with its cause, for who wrote the program. Neither its text nor its
// status has the cause: a handler may return it as its own error.
type noRenewal struct {
	error // the status
	cause error
}

func (e noRenewal) Unwrap() error              { return e.cause }
func (e noRenewal) GRPCStatus() *status.Status { return status.Convert(e.error) }

func (c *Client) renew(ctx, opened context.Context, stream carriedStream, conn *peer.Peer) (*tratv1.StreamRenewal, error) {
	switch {
	case stream.method == "":
		return nil, trat.Errorf(trat.ReasonInternal, "", "the stream was not opened through a carrier")
	case !stream.renewable:
		return nil, trat.Errorf(trat.ReasonInternal, "", "the stream was opened without the call option Renewable")
	}
	now := c.clock()
	out, err := c.prepare(ctx, stream.method, now)
	if err != nil {
		return nil, err
	}
	if out.token == nil {
		return nil, trat.Errorf(trat.ReasonTxnTokenMissing, "", "the method is called without a TraT")
	}
	server, err := c.receiver(conn.AuthInfo, now)
	if err != nil {
		return nil, err
	}
	renewal := &tratv1.StreamRenewal{TxnToken: out.token.UnsafeRaw()}
	if out.mode != 0 && server.ID.MemberOf(c.trustDomain) {
		// The link is of the stream's span: its traceparent is what the server has.
		ctx = trace.ContextWithSpan(ctx, trace.SpanFromContext(opened))
		if _, renewal.TxnChain, err = c.sign(ctx, &out, conn.AuthInfo, server.ID); err != nil {
			return nil, err
		}
	}
	c.telemetry.propagations.Add(ctx, 1, c.telemetry.attached...)
	return renewal, nil
}
