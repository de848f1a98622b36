// Package headersize counts header lists as HTTP/2 does, and knows how long one may be that
// leaves with a TraT: whoever sends it and whoever replaces the TraT in time count alike.
package headersize

import (
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/metadata"
)

const (
	// TokenKey is the metadata key that carries exactly one raw TraT
	// (draft-ietf-oauth-transaction-tokens section 12.1).
	TokenKey = "txn-token"
	// Budget bounds what is let out, in bytes: 8 KiB, the limit that the gRPC protocol
	// suggests to servers, less a margin for the fields that the transport adds (:path,
	// user-agent, grpc-timeout and the like).
	Budget = 8<<10 - 512

	// overhead is what HTTP/2 counts for a header field beside name and value
	// (RFC 9113 section 6.5.2).
	overhead = 32
)

// Field is what a field with a value of n bytes counts.
func Field(key string, n int) int { return len(key) + n + overhead }

// Value is the length of a metadata value on the wire: gRPC sends -bin values in base64.
func Value(key, value string) int {
	if strings.HasSuffix(key, "-bin") {
		return base64.RawStdEncoding.EncodedLen(len(value))
	}
	return len(value)
}

// Metadata is what md counts, whose keys are in lower case.
func Metadata(md metadata.MD) int {
	size := 0
	for key, values := range md {
		for _, value := range values {
			size += Field(key, Value(key, value))
		}
	}
	return size
}
