package interceptors

import (
	"context"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// linkAlg is the algorithm of all links of version 1.
const linkAlg = "ES256"

// prepareChain decides which chain goes out with out's token.
//
// A chain is continued only with the TraT that it came with: its links are about no
// other. So work under a TraT that was obtained in the middle of a call begins a new
// chain, while the rest of the call goes on with the old one.
func (c *Client) prepareChain(ctx context.Context, out *outbound) error {
	mode := c.chainMode(out.method)
	if mode == callchain.ModeOff {
		return nil
	}
	if parent, ok := callchain.FromContext(ctx); ok && parent.Last().TokenHash() == out.token.Digest() {
		if mode == callchain.ModePath && parent.Complete() && parent.Len() >= callchain.MaxLinks {
			return trat.Errorf(trat.ReasonChainTooDeep, "", "the chain has %d links; replace the token to go on", parent.Len())
		}
		out.mode, out.parent = mode, parent
	} else if out.token.RequestingWorkload() == c.id {
		out.mode = mode
	}
	return nil
}

// chainMode is how much of the chain goes out with calls of method.
func (c *Client) chainMode(method string) callchain.Mode {
	if len(c.modes) > 0 {
		if mode, ok := c.modes[method]; ok {
			return mode
		}
		if mode, ok := c.modes[method[:strings.LastIndexByte(method, '/')+1]]; ok {
			return mode
		}
	}
	return callchain.ModePath
}

// sign returns the link of one attempt to call server, and the chain with it, and notes in
// out how much of the chain that is. The context's span is that of the attempt.
func (c *Client) sign(ctx context.Context, out *outbound, conn credentials.AuthInfo, server spiffeid.ID) (callchain.Link, string, error) {
	start := c.clock()
	signed, err := c.signer.SignLink(ctx, callchain.Draft{
		Audience: server,
		Method:   out.method,
		Token:    out.token,
		Parent:   out.parent,
		Trace:    traceOf(trace.SpanContextFromContext(ctx)),
	})
	if err != nil {
		return callchain.Link{}, "", err
	}
	presented, _ := spiffecreds.OwnLeafFromAuthInfo(conn)
	encoded, err := signed.Encode(out.mode, presented)
	if err != nil {
		return callchain.Link{}, "", err
	}
	out.mode = callchain.SentMode(encoded)
	c.telemetry.groups.Record(ctx, int64(signed.GroupSize()))
	c.telemetry.signing.Record(ctx, c.clock().Sub(start).Seconds(), c.telemetry.signingBy...)
	return signed.Link(), encoded, nil
}
