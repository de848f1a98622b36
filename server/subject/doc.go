// Package subject verifies the subject tokens that a TraT is asked for with: one
// Verifier for each subject_token_type of RFC 8693, held by a Registry. A type
// without a registered verifier is refused, so everything is off until it is
// turned on.
//
//   - AccessToken: OAuth 2.0 JWT access tokens (RFC 9068) of configured issuers.
//   - IDToken: OpenID Connect ID tokens of configured issuers.
//   - SelfSigned: JWTs that the requester signs with the key of its X.509-SVID
//     (draft-ietf-oauth-transaction-tokens section 11.2.1).
//   - UnsignedJSON: a JSON object that the requester is trusted with
//     (draft section 11.2.2). Policy grants it explicitly.
//
// Issuers holds the issuers of the first two and keeps their keys: found by
// discovery, fetched within bounds, refreshed in the background, and never taken
// from a token.
//
// # Subjects
//
// Principal.Subject is unique in the trust domain (draft section 9.2): two issuers
// never share a subject, whatever they write into "sub".
//
//	prefix:sub                   issuer with the configured Prefix
//	self:shop.test/gateway:sub   self-signed by spiffe://shop.test/gateway
//	unsigned:shop.test/cron:sub  unsigned, from spiffe://shop.test/cron
//
// A prefix has no colon and is neither "self" nor "unsigned", and a SPIFFE ID's
// trust domain and path have no colon, so the parts can always be told apart:
// different (issuer, sub) give different subjects.
//
// # Errors
//
// Every error is an *trat.Error. SUBJECT_TOKEN_INVALID names the header parameter
// or claim at fault in Field, or "subject_token" when the token has no such parts;
// SUBJECT_TOKEN_EXPIRED is its own reason. Only a provider or store out of reach is
// DEPENDENCY_UNAVAILABLE, and only a requester that asks too often is RATE_LIMITED.
// An error holds no part of a token. The reasons are never those of a bad peer: the
// requester was authenticated before its token was read.
package subject
