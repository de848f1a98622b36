package trat

import "time"

// Names fixed by draft-ietf-oauth-transaction-tokens.
const (
	// SpecVersion is the revision of the draft that this package implements.
	SpecVersion = "draft-ietf-oauth-transaction-tokens-10"
	// Type is the JWS typ of a TraT (section 9.1).
	Type = "txntoken+jwt"
	// GrantType is the grant_type of every exchange (section 11.1).
	GrantType = "urn:ietf:params:oauth:grant-type:token-exchange"
	// TokenType is the token type URN of a TraT in exchanges (section 11.1).
	TokenType = "urn:ietf:params:oauth:token-type:txn_token"
)

// Token type URNs of subject tokens (RFC 8693 section 3; draft section 11.2).
const (
	TokenTypeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeIDToken      = "urn:ietf:params:oauth:token-type:id_token"
	TokenTypeJWT          = "urn:ietf:params:oauth:token-type:jwt"
	TokenTypeSelfSigned   = "urn:ietf:params:oauth:token-type:self_signed"
	TokenTypeUnsignedJSON = "urn:ietf:params:oauth:token-type:unsigned_json"
	// TokenTypeRefreshToken is refused as a subject token (section 13.3).
	TokenTypeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	// TokenTypeSAML1 and TokenTypeSAML2 are named only to be refused: SAML assertions
	// are not verified here.
	TokenTypeSAML1 = "urn:ietf:params:oauth:token-type:saml1"
	TokenTypeSAML2 = "urn:ietf:params:oauth:token-type:saml2"
)

// SubjectType is the JWS typ of a self-signed subject token. The draft names none; one
// of its own keeps such a JWT from passing for anything else (RFC 8725 section 3.11).
const SubjectType = "trat-subject+jwt"

// Limits of this implementation; the draft leaves them open.
const (
	// MaxSize is the longest compact form, in bytes, that is signed or accepted.
	MaxSize = 4096
	// MaxObjectSize is the longest text, in bytes, that ParseObject reads.
	MaxObjectSize = 8192
	// MaxScopeSize is the longest scope, in bytes.
	MaxScopeSize = 1024
	// MaxWorkloadChain is the most workloads of a WorkloadChain.
	MaxWorkloadChain = 16
	// MaxDepth is how deep objects and arrays of a token's payload may nest. An
	// Object may nest one level less, because it becomes a member of a payload.
	MaxDepth = 16

	// DefaultLifetime is the lifetime of a TraT where policy says nothing.
	DefaultLifetime = 15 * time.Second
	// MaxLifetime is the longest lifetime of any TraT.
	MaxLifetime = 300 * time.Second
	// DefaultLeeway is how far the clocks of issuer and verifier may differ.
	DefaultLeeway = 5 * time.Second
	// MaxLeeway is the most that WithLeeway accepts.
	MaxLeeway = 60 * time.Second
)

// Bounds of single values, in bytes.
const (
	maxIssuerSize   = 512
	maxSubjectSize  = 512
	maxAudienceSize = 255 // SPIFFE-ID section 2.1: longest trust domain name
	maxTxnSize      = 128
	maxWorkloadSize = 2048 // SPIFFE-ID section 2.3: longest SPIFFE ID
	maxKeyIDSize    = 64
)

// Clock tells the time. It must be safe for concurrent use.
type Clock func() time.Time

// Algorithm is a JWS signature algorithm (RFC 7518, RFC 8037) that a TraT may be
// signed with. There is no value for none or for HMAC.
type Algorithm string

const (
	// ES256 is ECDSA on P-256 with SHA-256: the default.
	ES256 Algorithm = "ES256"
	// EdDSA is Ed25519.
	EdDSA Algorithm = "EdDSA"
	// PS256 is RSASSA-PSS with SHA-256 and a salt of 32 bytes.
	PS256 Algorithm = "PS256"
	// RS256 is RSASSA-PKCS1-v1_5 with SHA-256.
	RS256 Algorithm = "RS256"
)

func (a Algorithm) known() bool {
	switch a {
	case ES256, EdDSA, PS256, RS256:
		return true
	}
	return false
}
