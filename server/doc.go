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
//  2. Limits: the rate of this workload, and its share of the exchanges under way.
//  3. The request's parameters, all problems at once.
//  4. Was this request sent before? See below.
//  5. Policy: may this workload present this type of subject token at all? Only
//     then is the subject token looked at (section 11.3).
//  6. The subject token, by the verifier of its type (package subject).
//  7. Policy: what is granted (package policy).
//  8. If the policy wants it, a policy decision point has to agree.
//  9. Prepare the claims, sign what was prepared, read the signed token back and
//     compare. A token that differs does not leave.
//  10. One audit record, whether issued or refused.
//
// Validation happens inside Exchange and not in an interceptor, so that every front
// end that calls it refuses the same requests with the same reasons.
//
// # A request that is sent again
//
// A caller that has lost the answer does not know whether there is a token. With a
// request_id it can ask again: for IdempotencyWindow the same request of the same workload
// has the same answer, and while the first one is under way waits for it. The id with any
// other parameter is an error. Refusals are not remembered. Answers are kept in the memory
// of one replica; at another one the request is decided anew.
//
// # Replacement
//
// A TraT as the subject token is replaced by another one of the same transaction
// (section 13.15): txn, sub and aud stay, tctx and rctx can gain members and lose or
// change none, scope can shrink. The claims req_wl_chain, rpl_cnt and txn_iat have the
// transaction's history, made of the verified token alone. Policy says who may, how often
// and how long (package policy); what it must not grant is refused here.
//
// The requester has requested the replaced TraT itself, or proves by call_chain, the receipt
// of a call chain (package callchain), that it was called with it: who has stolen a TraT
// cannot have it replaced. The hash of the chain's last link becomes the claim chn, to which
// the chain of calls with the new TraT is bound. A receipt may be used again: it proves
// that there was a call, and the replacements that follow from one are siblings.
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
