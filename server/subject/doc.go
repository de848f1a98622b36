// Package subject verifies the subject tokens that a TraT is asked for with: one
// Verifier for each subject_token_type of RFC 8693, held by a Registry. A type
// without a registered verifier is refused, so everything is off until it is
// turned on.
//
//   - AccessToken: OAuth 2.0 access tokens of configured issuers: JWTs (RFC 9068), and
//     opaque ones by introspection (RFC 7662), which can find out about revoked JWTs too.
//   - IDToken: OpenID Connect ID tokens of configured issuers.
//   - JWT: other JWTs of configured issuers.
//   - SelfSigned: JWTs that the requester signs with the key of its X.509-SVID
//     (draft-ietf-oauth-transaction-tokens section 11.2.1); with WithJWTSVIDs, its
//     JWT-SVID too.
//   - UnsignedJSON: a JSON object that the requester is trusted with
//     (draft section 11.2.2). Policy grants it explicitly.
//   - TransactionToken: a TraT, to be replaced (draft section 13.15).
//   - Types of your own: whatever implements Verifier under a URI of its own; For
//     keeps it to the workloads that can come by such tokens.
//
// Refresh tokens and SAML assertions are refused by name, and nobody can register a
// verifier for them.
//
// Issuers holds the issuers of the first three and keeps their keys: found by
// discovery, fetched within bounds, refreshed in the background, and never taken
// from a token.
//
// # Introspection
//
// IntrospectionConfig has an issuer asked about its access tokens. A question has a
// deadline, and an answer a bound; no redirect is followed; equal tokens at once are one
// question. What is no good answer costs the token: DEPENDENCY_UNAVAILABLE, whether the
// issuer is down, slow or talks nonsense, and at once while a circuit breaker is open. The
// answer that a token is active is used again for IntrospectionConfig.CacheTTL at most,
// which is how long a revocation may stay unseen, and never past the token's exp. It is
// found by the token's SHA-256; the token itself is not kept.
//
// # Subjects
//
// Principal.Subject is unique in the trust domain (draft section 9.2): two issuers
// never share a subject, whatever they write into "sub".
//
//	prefix:sub                   issuer with the configured Prefix
//	self:shop.test/gateway:sub   self-signed by spiffe://shop.test/gateway
//	self:shop.test/gateway       spiffe://shop.test/gateway itself, by its JWT-SVID
//	unsigned:shop.test/cron:sub  unsigned, from spiffe://shop.test/cron
//
// A prefix has no colon and is neither "self" nor "unsigned", and a SPIFFE ID's
// trust domain and path have no colon, so the parts can always be told apart:
// different (issuer, sub) give different subjects. The subject of a TraT is such a
// subject already, and stays what it is.
//
// # Errors
//
// Every error is an *trat.Error. SUBJECT_TOKEN_INVALID names the header parameter
// or claim at fault in Field, or "subject_token" when the token has no such parts;
// SUBJECT_TOKEN_EXPIRED is its own reason. Only a provider or store out of reach is
// DEPENDENCY_UNAVAILABLE, only the token service's own keys are KEYS_UNAVAILABLE, and
// only a requester that asks too often is RATE_LIMITED. An error holds no part of a
// token, of an issuer's answer about it, or of a credential. The reasons are never those
// of a bad peer: the requester was authenticated before its token was read.
package subject
