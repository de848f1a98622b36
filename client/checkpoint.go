package client

import (
	"context"

	"github.com/grpc-trat/grpc-trat/internal/headersize"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Checkpoint returns a context that another call fits into. Where the call chain of ctx has
// room for one more link that is ctx itself. At its limit, of links
// ([callchain.MaxLinks]) or of the bytes that a carrier sends, the TraT is replaced as by
// Replace, and the chain begins anew, bound to the one that the token service has seen and
// verified. Without it a carrier refuses a call that does not fit (CHAIN_TOO_DEEP,
// METADATA_TOO_LARGE). What the call will have beside ctx's metadata is allowed for: the
// trace context, a certificate that was rotated, a signature shared with many other links.
//
// A service that may be that far from the beginning of a transaction calls it once, before
// the calls of a handler. Or its carrier does it for each call that needs it, with
// interceptors.WithCheckpoint and Replace; only there is it known that a call goes without
// links and needs none. The issuance policy has to let this workload replace TraTs. Errors
// are those of Replace. A ctx without a TraT, or without a chain of it, is returned as it is.
func (c *Client) Checkpoint(ctx context.Context, r Replacement) (context.Context, error) {
	token, ok := trat.FromContext(ctx)
	if !ok || !headersize.Full(ctx, token, chainOf(ctx, token), c.cfg.SVIDs) {
		return ctx, nil
	}
	return c.Replace(ctx, r)
}
