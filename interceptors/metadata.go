package interceptors

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/internal/headersize"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	tokenKey = headersize.TokenKey
	// chainPrefix is of the call chain's keys.
	chainPrefix = "txn-chain"

	// DefaultMaxHeaderListSize is the header list that guard, carrier and edge accept
	// by default, in bytes as HTTP/2 counts them.
	DefaultMaxHeaderListSize = 16 << 10
)

// reserved reports whether the metadata key belongs to guard and carrier.
func reserved(key string) bool {
	key = strings.ToLower(key) // as transports have it already
	return strings.HasPrefix(key, tokenKey) || strings.HasPrefix(key, chainPrefix)
}

// tokenFromMetadata returns the one value of txn-token in ctx's incoming metadata. It
// looks at no other key. More than one value, or one that a proxy joined with a comma,
// or one with a scheme before it, is malformed: which of them would be meant?
func tokenFromMetadata(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, tokenKey)
	switch {
	case len(values) == 0, len(values) == 1 && values[0] == "":
		return "", &trat.Error{Reason: trat.ReasonTxnTokenMissing}
	case len(values) > 1:
		return "", trat.Errorf(trat.ReasonTxnTokenMalformed, tokenKey, "%d values", len(values))
	}
	raw := values[0]
	switch {
	case len(raw) > trat.MaxSize:
		return "", trat.Errorf(trat.ReasonTxnTokenMalformed, tokenKey, "%d bytes, at most %d", len(raw), trat.MaxSize)
	case strings.IndexByte(raw, ',') >= 0, strings.IndexByte(raw, ' ') >= 0:
		return "", trat.Errorf(trat.ReasonTxnTokenMalformed, tokenKey, "comma or space")
	}
	return raw, nil // the rest of its alphabet is the Verifier's business
}

// insideContext is the context of a handler. Its incoming metadata lacks the reserved
// keys, so that a handler can neither read the raw token nor pass it on with the rest.
//
// They are left out when metadata is looked up, because a copy for every call would
// cost more than verifying a token seen before, and few handlers look. The key of
// incoming metadata is grpc-go's secret, the type of its value is not.
//
// It prevents accidents, not intent: code of the same process that takes grpc-go's
// transport stream apart finds the metadata there.
type insideContext struct{ context.Context } //nolint:containedctx // it is one

// Value implements context.Context.
func (c insideContext) Value(key any) any {
	value := c.Context.Value(key)
	if md, ok := value.(metadata.MD); ok {
		return withoutReserved(md)
	}
	return value
}

// withoutReserved returns md if it has no reserved key, else a copy without them. The
// lists of values are shared; grpc-go copies them for whoever asks.
func withoutReserved(md metadata.MD) metadata.MD {
	if !hasReserved(md) {
		return md
	}
	rest := make(metadata.MD, len(md)-1)
	for key, values := range md {
		if !reserved(key) {
			rest[key] = values
		}
	}
	return rest
}

func hasReserved(md metadata.MD) bool {
	for key := range md {
		if reserved(key) {
			return true
		}
	}
	return false
}

// outboundSize returns the size of the outgoing metadata, as HTTP/2 counts it, and
// refuses one in which the application set a reserved key.
func outboundSize(ctx context.Context) (int, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	for key := range md {
		if reserved(key) {
			return 0, &trat.Error{Reason: trat.ReasonClientMetadataConflict, Field: key}
		}
	}
	return headersize.Metadata(md), nil
}

// checkBudget refuses size bytes of metadata if they are too many.
func checkBudget(size int) error {
	if size > headersize.Budget {
		return trat.Errorf(trat.ReasonMetadataTooLarge, "", "%d bytes of metadata, at most %d", size, headersize.Budget)
	}
	return nil
}
