package interceptors

import (
	"context"
	"errors"

	"github.com/grpc-trat/grpc-trat/internal/headersize"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// WithCheckpoint sets what makes room for a call whose chain has none: replace returns a
// context with a TraT that the token service has issued in place of ctx's, and the call goes
// out with it and a chain that this workload begins. With package client it is
//
//	interceptors.WithCheckpoint(func(ctx context.Context) (context.Context, error) {
//		return tts.Replace(ctx, client.Replacement{})
//	})
//
// It is called for calls that would be refused with CHAIN_TOO_DEEP, or with
// METADATA_TOO_LARGE if tracing, a rotated certificate and a signature shared with many other
// links take all the room that they can. Each such call has a replacement of its own; a
// handler that makes many is faster with one client.Checkpoint. It is never called where no
// path of links goes out: for health checks, methods WithoutToken or of another mode than
// callchain.ModePath, and without a chain in the call's context. What it fails with, the call
// fails with.
//
// Without it those calls are refused. replace must be safe for concurrent use.
func WithCheckpoint(replace func(context.Context) (context.Context, error)) ClientOption {
	return clientOption(func(c *Client) error {
		if replace == nil {
			return errors.New("WithCheckpoint: nil function")
		}
		c.checkpoint = replace
		return nil
	})
}

// enter refuses a call early, or returns the context that it goes out with, and what prepare
// has made of it.
func (c *Client) enter(ctx context.Context, method string) (context.Context, outbound, error) {
	out, err := c.prepare(ctx, method, c.clock())
	if c.checkpoint != nil && c.isFull(ctx, &out, err) {
		behind, failure := c.checkpoint(ctx)
		if failure != nil {
			_ = c.refuse(ctx, refusal{method: method, err: failure})
			return nil, outbound{}, failure // with the status that the token service gave it
		}
		if behind != nil {
			ctx = behind
			out, err = c.prepare(ctx, method, c.clock())
		}
	}
	if err != nil {
		return nil, outbound{}, c.refuse(ctx, refusal{method: method, err: err})
	}
	return ctx, out, nil
}

// isFull reports whether the chain of a call has no room for it, by what prepare has made of
// the call.
func (c *Client) isFull(ctx context.Context, out *outbound, err error) bool {
	if err != nil {
		return errors.Is(err, trat.ReasonChainTooDeep)
	}
	return out.mode == callchain.ModePath && headersize.Full(ctx, out.token, out.parent, c.svids)
}
