package subject

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// MaxTokenSize is the longest subject token that is looked at, in bytes. The
	// JSON of its claims may be trat.MaxObjectSize bytes long.
	MaxTokenSize = 16384

	// DefaultSkew is how far an issuer's clock may differ where nothing else is
	// configured.
	DefaultSkew = 30 * time.Second
	// MaxSkew is the most that may be configured.
	MaxSkew = 60 * time.Second
)

// Input is a subject token and who presents it.
type Input struct {
	// Token is the subject token as received.
	Token string
	// Type is the subject_token_type.
	Type string
	// Requester is the workload that presents the token, from its X.509-SVID.
	Requester spiffeid.ID
	// RequesterLeaf is the requester's X.509-SVID on this connection.
	RequesterLeaf *x509.Certificate
	// Now is the time that the token is judged at.
	Now time.Time
}

// String names type and requester. It does not print the token.
func (in Input) String() string {
	return fmt.Sprintf("subject.Input(%s from %s)", in.Type, in.Requester)
}

// Format prints what String returns, whatever the verb.
func (in Input) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, in.String()) }

// LogValue returns what String returns.
func (in Input) LogValue() slog.Value { return slog.StringValue(in.String()) }

// MarshalText returns what String returns.
func (in Input) MarshalText() ([]byte, error) { return []byte(in.String()), nil }

// Principal is who a verified subject token stands for.
type Principal struct {
	// Issuer is the "iss" of the token as configured; the requester's SPIFFE ID
	// for self-signed and unsigned ones.
	Issuer string
	// Subject is unique in the trust domain: see the package documentation.
	Subject string
	// Scopes is the token's own scope. It counts only if ScopeKnown.
	Scopes []string
	// ScopeKnown says that the token has a scope of its own, be it empty. Unknown
	// is not unlimited (draft section 13.14).
	ScopeKnown bool
	// Expiry is the token's "exp". It may lie up to the issuer's configured skew
	// before Input.Now. It is zero if the token has none, which only an unsigned
	// one may.
	Expiry time.Time
	// Claims are all claims of the token. They may be personal. Absent if Transaction
	// is there, which has them.
	Claims trat.Object
	// Transaction is the verified TraT that is to be replaced. It is there if
	// Input.Type is trat.TokenType, and only then.
	Transaction *trat.Token
}

// Verifier verifies the subject tokens of one type. Implementations are safe for
// concurrent use.
type Verifier interface {
	// Type is the subject_token_type: an absolute URI.
	Type() string
	// Verify checks in.Token entirely. Its errors are *trat.Error with reasons
	// SUBJECT_TOKEN_INVALID, SUBJECT_TOKEN_EXPIRED, SUBJECT_TOKEN_REPLAYED,
	// RATE_LIMITED, DEPENDENCY_UNAVAILABLE, KEYS_UNAVAILABLE or INTERNAL.
	Verify(ctx context.Context, in Input) (*Principal, error)
}

func invalid(field, format string, args ...any) error {
	return trat.Errorf(trat.ReasonSubjectTokenInvalid, field, format, args...)
}
