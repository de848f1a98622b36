package interceptors

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// tokenKey carries exactly one raw TraT
	// (draft-ietf-oauth-transaction-tokens section 12.1).
	tokenKey = "txn-token"
	// chainPrefix is of the call chain's keys.
	chainPrefix = "txn-chain"

	// fieldOverhead is what HTTP/2 counts for a header field beside name and value
	// (RFC 9113 section 6.5.2).
	fieldOverhead = 32
	// headerBudget bounds what the carrier lets out: 8 KiB, the limit that the gRPC
	// protocol suggests to servers, less a margin for the fields that the transport
	// adds (:path, user-agent, grpc-timeout and the like).
	headerBudget = 8<<10 - 512
	// DefaultMaxHeaderListSize is the header list that guard, carrier and edge accept
	// by default, in bytes as HTTP/2 counts them.
	DefaultMaxHeaderListSize = 16 << 10
)

// reserved reports whether the metadata key belongs to guard and carrier.
func reserved(key string) bool {
	return strings.HasPrefix(key, tokenKey) || strings.HasPrefix(key, chainPrefix)
}

// inbound is what a call's metadata held under the reserved keys.
type inbound struct {
	token []string // the values of txn-token
	any   bool     // whether there was any reserved key
}

// takeInbound returns the reserved metadata of a call, and a context whose incoming
// metadata lacks it, so that a handler can neither read the raw token nor pass it on
// with the rest.
func takeInbound(ctx context.Context) (context.Context, inbound) {
	var in inbound
	md, ok := metadata.FromIncomingContext(ctx) // a copy that is ours to change
	if !ok {
		return ctx, in
	}
	in.token = md[tokenKey]
	for key := range md {
		if reserved(key) {
			in.any = true
			delete(md, key)
		}
	}
	if !in.any {
		return ctx, in
	}
	return metadata.NewIncomingContext(ctx, md), in
}

// oneToken returns the one value of txn-token. More than one value, or one that a
// proxy joined with a comma, or one with a scheme before it, is malformed: which of
// them would be meant?
func (in inbound) oneToken() (string, error) {
	switch {
	case len(in.token) == 0, len(in.token) == 1 && in.token[0] == "":
		return "", &trat.Error{Reason: trat.ReasonTxnTokenMissing}
	case len(in.token) > 1:
		return "", trat.Errorf(trat.ReasonTxnTokenMalformed, tokenKey, "%d values", len(in.token))
	}
	raw := in.token[0]
	switch {
	case len(raw) > trat.MaxSize:
		return "", trat.Errorf(trat.ReasonTxnTokenMalformed, tokenKey, "%d bytes, at most %d", len(raw), trat.MaxSize)
	case strings.ContainsAny(raw, ", \t\r\n"):
		return "", trat.Errorf(trat.ReasonTxnTokenMalformed, tokenKey, "comma or white space")
	}
	return raw, nil
}

// checkOutbound refuses outgoing metadata in which the application set a reserved
// key, or that would pass the header budget together with a token of tokenSize bytes
// (0: none).
func checkOutbound(ctx context.Context, tokenSize int) error {
	size := 0
	if tokenSize > 0 {
		size = len(tokenKey) + tokenSize + fieldOverhead
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	for key, values := range md {
		if reserved(key) {
			return &trat.Error{Reason: trat.ReasonClientMetadataConflict, Field: key}
		}
		for _, value := range values {
			size += len(key) + valueSize(key, value) + fieldOverhead
		}
	}
	if size > headerBudget {
		return trat.Errorf(trat.ReasonMetadataTooLarge, "", "%d bytes of metadata, at most %d", size, headerBudget)
	}
	return nil
}

// valueSize is the length of a metadata value on the wire: gRPC sends -bin values in
// base64.
func valueSize(key, value string) int {
	if strings.HasSuffix(key, "-bin") {
		return base64.RawStdEncoding.EncodedLen(len(value))
	}
	return len(value)
}
