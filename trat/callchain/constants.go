package callchain

import "time"

// MetadataKey is the gRPC metadata key of a chain: one value, ASCII.
const MetadataKey = "txn-chain"

// What an Error of this package is about, as its Field says: MetadataKey for what is no chain
// at all, a claim of a link, or something else that it takes.
const (
	FieldAudience = "aud"
	FieldMethod   = "rpc"
	FieldToken    = "tth"
	FieldIssuer   = "iss"
	FieldIssuedAt = "iat"
	FieldExpiry   = "exp"
	FieldDepth    = "n"
	FieldParent   = "prh"
	FieldAnchor   = "ckp"
	// FieldCertificate is one that a link was signed under, FieldSignature the link's: to find
	// these is what costs a Verifier most.
	FieldCertificate = "certificate"
	FieldSignature   = "signature"
	// FieldBundle is what certificates are held to, FieldSVID what links are signed with.
	FieldBundle = "bundle"
	FieldSVID   = "svid"

	fieldMode = "mode"
)

const (
	// MaxLinks is the number of links of a chain in path form.
	MaxLinks = 6
	// MaxDepth is the largest depth of a link in head form.
	MaxDepth = 63
	// MaxGroupLevels is the largest depth of the tree of links that are signed together:
	// at most 1024 of them.
	MaxGroupLevels = 10
	// MaxEncodedSize is the longest value of MetadataKey, in bytes.
	MaxEncodedSize = 8<<10 - 512
	// MaxReceiptSize is the longest text of an Evidence, in bytes: a chain of
	// MaxEncodedSize with what the callee knew from the connection.
	MaxReceiptSize = 16 << 10
	// MaxCertificates is the number of certificates of a chain: leaves and intermediates.
	MaxCertificates = maxLeaves + maxIntermediates
	// DefaultLifetime is how long a link may be on its way, from iat to exp.
	DefaultLifetime = 15 * time.Second
	// MaxLifetime is the longest lifetime of a link that is accepted.
	MaxLifetime = 60 * time.Second
)

// Bounds of single values, in bytes, and of the certificates of a chain.
const (
	maxIDSize          = 2048 // SPIFFE-ID section 2.3: longest SPIFFE ID
	maxMethodSize      = 1024
	maxCertificateSize = 2048
	maxLeaves          = MaxLinks
	maxIntermediates   = 6
)

// validMethod reports whether method can be a full gRPC method, "/pkg.Service/Method", of
// printable ASCII: it goes into logs and reports.
func validMethod(method string) bool {
	if len(method) > maxMethodSize || len(method) < len("/s/m") || method[0] != '/' {
		return false
	}
	slashes := 0
	for i := range len(method) {
		switch c := method[i]; {
		case c <= ' ' || c > '~':
			return false
		case c == '/':
			slashes++
		}
	}
	return slashes == 2 && method[len(method)-1] != '/' && method[1] != '/'
}
