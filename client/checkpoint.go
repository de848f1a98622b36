package client

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	// fieldOverhead is what HTTP/2 counts for a header field beside name and value
	// (RFC 9113 section 6.5.2).
	fieldOverhead = 32
	// headerBudget bounds what carriers let out (see package interceptors).
	headerBudget = 8<<10 - 512
	// tokenKey is the metadata key of a TraT (draft section 12.1).
	tokenKey = "txn-token"
)

// Checkpoint returns a context that another call fits into. Where the call chain of ctx has
// room for one more link that is ctx itself. At its limit, of links
// ([callchain.MaxLinks]) or of the bytes that a carrier sends, the TraT is replaced as by
// Replace, and the chain begins anew, bound to the one that the token service has seen and
// verified. Without it a carrier refuses a call that does not fit (CHAIN_TOO_DEEP,
// METADATA_TOO_LARGE).
//
// A service that may be that far from the beginning of a transaction calls it once, before
// the calls of a handler, or has CheckpointDialOptions do it for each call. The issuance
// policy has to let this workload replace TraTs. Errors are those of Replace. A ctx without a
// TraT, or without a chain of it, is returned as it is.
func (c *Client) Checkpoint(ctx context.Context, r Replacement) (context.Context, error) {
	token, ok := trat.FromContext(ctx)
	if !ok {
		return ctx, nil
	}
	chain := chainOf(ctx, token)
	if !full(ctx, token, chain) {
		return ctx, nil
	}
	return c.Replace(ctx, r)
}

// full says whether a call that continues chain would not pass, or might not.
func full(ctx context.Context, token *trat.Token, chain *callchain.Chain) bool {
	switch {
	case chain.Len() == 0:
		return false
	case chain.NextLinks() == 1: // whatever its length
		return chain.Last().Depth() >= callchain.MaxDepth
	case chain.NextLinks() > callchain.MaxLinks:
		return true
	}
	size := len(tokenKey) + token.Size() + fieldOverhead + len(callchain.MetadataKey) + chain.NextSize() + fieldOverhead
	outgoing, _ := metadata.FromOutgoingContext(ctx)
	for key, values := range outgoing {
		for _, value := range values {
			size += len(key) + len(value) + fieldOverhead
		}
	}
	return size > headerBudget
}

// CheckpointDialOptions returns interceptors that make a Checkpoint, without asking for
// another change, before each call of a connection. They go before those of the carrier:
//
//	grpc.NewClient(target, slices.Concat(creds, tts.CheckpointDialOptions(), carrier.DialOptions())...)
//
// A handler that makes many calls at the limit has a replacement for each, and is faster
// with one Checkpoint of its own.
func (c *Client) CheckpointDialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(c.checkpointUnary),
		grpc.WithChainStreamInterceptor(c.checkpointStream),
	}
}

func (c *Client) checkpointUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, err := c.Checkpoint(ctx, Replacement{})
	if err != nil {
		return err
	}
	return invoker(ctx, method, req, reply, cc, opts...)
}

func (c *Client) checkpointStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, err := c.Checkpoint(ctx, Replacement{})
	if err != nil {
		return nil, err
	}
	return streamer(ctx, desc, cc, method, opts...)
}
