package interceptors

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"google.golang.org/grpc/codes"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// hashDigits is how many hexadecimal digits of a token's SHA-256 spans carry.
const hashDigits = 16

// fingerprint is the SHA-256 of a token that was not verified, as
// trat.Token.Fingerprint has it for a verified one.
func fingerprint(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// shortHash is the beginning of a fingerprint, in hexadecimal.
func shortHash(fingerprint string) string {
	sum, err := base64.RawURLEncoding.DecodeString(fingerprint)
	if err != nil || len(sum) < hashDigits/2 {
		return ""
	}
	return hex.EncodeToString(sum[:hashDigits/2])
}

// reasonOf is the label for a refusal.
func reasonOf(err error) trat.Reason {
	if reason, ok := trat.ReasonOf(err); ok {
		return reason
	}
	return trat.ReasonInternal
}

// resultOf tells a caller's fault from a fault of the check itself.
func resultOf(reason trat.Reason) string {
	switch grpcerr.Code(reason) {
	case codes.Unavailable, codes.Internal:
		return semconv.ResultError
	default:
		return semconv.ResultDenied
	}
}
