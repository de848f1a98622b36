package callchain

import (
	"crypto/x509"
	"encoding/base64"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Hash identifies a link: the SHA-256 of its canonical statement. The signature is not
// part of it.
type Hash [32]byte

// IsZero reports whether h is absent.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns h in base64url, 43 characters; "" when it is absent.
func (h Hash) String() string {
	if h.IsZero() {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// Trace ties a link to the span of its call: the trace id and the id of the client span
// (W3C Trace Context). The zero Trace is a call without a span.
type Trace struct {
	TraceID [16]byte
	SpanID  [8]byte
}

// IsZero reports whether there is no span.
func (t Trace) IsZero() bool { return t == Trace{} }

// Link is one workload's statement that it makes one call. It is an immutable value.
type Link struct{ *link }

// link is shared by all copies of a Link and never changed once made.
type link struct {
	issuer, audience spiffeid.ID
	method           string
	issuedAt         time.Time // in milliseconds
	lifetime         time.Duration
	id               [16]byte
	tokenHash        [32]byte
	leafHash         [32]byte
	parent, anchor   Hash
	trace            Trace
	depth            int
	hash             Hash
	leaf             *x509.Certificate
}

// get returns what l says; of the zero Link that is nothing.
func (l Link) get() *link {
	if l.link == nil {
		return &link{}
	}
	return l.link
}

// IsZero reports whether l is no link. All else that is asked of such a Link is zero.
func (l Link) IsZero() bool { return l.link == nil }

// Issuer is the workload that signed (iss).
func (l Link) Issuer() spiffeid.ID { return l.get().issuer }

// Audience is the workload that is called (aud).
func (l Link) Audience() spiffeid.ID { return l.get().audience }

// Method is the full method that is called, "/pkg.Service/Method" (rpc).
func (l Link) Method() string { return l.get().method }

// IssuedAt is when the link was signed, by the signer's clock (iat).
func (l Link) IssuedAt() time.Time { return l.get().issuedAt }

// Expiry is when the link must have arrived (exp).
func (l Link) Expiry() time.Time { return l.get().issuedAt.Add(l.get().lifetime) }

// ID is 128 random bits, new for every attempt (jti).
func (l Link) ID() [16]byte { return l.get().id }

// TokenHash is the SHA-256 of the TraT that the call carries (tth).
func (l Link) TokenHash() [32]byte { return l.get().tokenHash }

// LeafHash is the SHA-256 of the signer's leaf certificate (x5t#S256).
func (l Link) LeafHash() [32]byte { return l.get().leafHash }

// Parent is the hash of the link that the signer had received (prh); zero on a root.
func (l Link) Parent() Hash { return l.get().parent }

// Anchor is, on a root after a checkpoint, the hash of the last link before it (ckp).
func (l Link) Anchor() Hash { return l.get().anchor }

// Depth is the number of links before this one since the root (n): 0 on a root.
func (l Link) Depth() int { return l.get().depth }

// Trace is the trace and client span of the call, if it has a span (tid, sid).
func (l Link) Trace() Trace { return l.get().trace }

// Hash identifies the link.
func (l Link) Hash() Hash { return l.get().hash }

// Leaf is the certificate whose key signed the link. It must not be modified.
func (l Link) Leaf() *x509.Certificate { return l.get().leaf }
