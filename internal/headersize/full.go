package headersize

import (
	"context"
	"encoding/base64"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	traceparentSize = 55 // W3C Trace Context section 3.2
	// samplerNote is what a sampler of this process may add to the trace state.
	samplerNote = 32
	// linkFrame is what a certificate takes in a chain beside its own bytes: its length, and
	// its index in the link that names it.
	linkFrame = 3
)

// Full reports whether a call from ctx, with token and all of chain, would be refused for the
// number of its links or the size of its header list, or might be. For nobody knows before
// the call is on its way what tracing will add to ctx's metadata, how many links will share
// a signature, and whether the certificate of svids is still the one of the connection: there
// is room for each of them, or the call counts as one that does not fit. A chain without
// links is never full.
func Full(ctx context.Context, token *trat.Token, chain *callchain.Chain, svids x509svid.Source) bool {
	switch links := chain.NextLinks(); {
	case links == 0:
		return false
	case links > callchain.MaxLinks:
		return true
	case links == 1 && chain.Last().Depth() >= callchain.MaxDepth: // no other link is known
		return true
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	size := Metadata(md) + tracing(ctx, md) + Field(TokenKey, token.Size())
	return size+Field(callchain.MetadataKey, chain.NextSize()+certificates(svids)) > Budget
}

// tracing is what stats handlers may add to md for a span below that of ctx.
func tracing(ctx context.Context, md metadata.MD) int {
	size := 0
	add := func(key string, n int) {
		if len(md.Get(key)) == 0 { // else it will be replaced, and has been counted
			size += Field(key, n)
		}
	}
	add("traceparent", traceparentSize)
	add("tracestate", len(trace.SpanContextFromContext(ctx).TraceState().String())+samplerNote)
	if b := baggage.FromContext(ctx); b.Len() > 0 {
		add("baggage", len(b.String()))
	}
	return size
}

// certificates is what the own leaf, and what leads from it to the bundle, would add to a
// chain.
func certificates(svids x509svid.Source) int {
	svid, err := svids.GetX509SVID()
	if err != nil {
		return 0 // nor will anything be signed
	}
	size := 0
	for _, certificate := range svid.Certificates {
		size += linkFrame + len(certificate.Raw)
	}
	return base64.RawURLEncoding.EncodedLen(size)
}
