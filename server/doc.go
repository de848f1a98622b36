// Package server is the TokenService of trat.v1: it turns a subject token into a
// Transaction Token (TraT), by draft-ietf-oauth-transaction-tokens sections 11 and
// 13, and publishes the keys that verify it.
//
// # One decision
//
// Exchange takes these steps and stops at the first that fails:
//
//  1. Who asks: the workload of the mTLS connection, from its X.509-SVID and from
//     nothing else (section 11.5).
//  2. The request's parameters, all problems at once.
//  3. Policy: may this workload present this type of subject token at all? Only
//     then is the subject token looked at (section 11.3).
//  4. The subject token, by the verifier of its type (package subject).
//  5. Policy: what is granted (package policy).
//  6. Prepare the claims, sign what was prepared, read the signed token back and
//     compare. A token that differs does not leave.
//  7. One audit record, whether issued or refused.
//
// Validation happens inside Exchange and not in an interceptor, so that every front
// end that calls it refuses the same requests with the same reasons.
//
// # What a Server needs around it
//
// gRPC credentials of package spiffecreds: a call without their peer identity is
// refused. Bounds on message size, header size and concurrent streams are the
// transport's.
//
// Subject tokens, TraTs and subjects appear in no log, span, metric or error:
// fingerprints and keyed pseudonyms do.
package server
