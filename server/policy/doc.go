// Package policy decides what the token service issues: which requester may
// present which type of subject token, for which scopes, with which contexts and
// for how long. Nothing is granted that no rule grants: the zero Policy, a policy
// without rules and the zero Grant grant nothing.
//
// A policy is a YAML file:
//
//	version: 1
//	rules:
//	  - name: gateway-orders
//	    requester: spiffe://shop.test/gateway
//	    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
//	    issuers: [https://login.shop.test]
//	    scopes:
//	      orders:write: [order.create]
//	    request_context: [ip, authn]
//	    add_request_context: {channel: web}
//	    request_details: {required: [order_id], optional: [note]}
//	    lifetime: 15s
//
// The keys of a rule:
//
//   - name: required, unique; letters, digits, ".", "_" and "-", at most 64.
//   - requester: required. A SPIFFE ID, or one whose path has "*" for one whole
//     segment, as in spiffe://shop.test/*/gateway.
//   - subject_tokens: required. The subject token types, as absolute URIs.
//   - issuers: the issuers, exactly as in "iss", whose subject tokens this rule is
//     for. Absent: every issuer that the service is configured with.
//   - scopes: for subject tokens with a scope of their own, which scopes of the
//     token carry which scopes of a TraT. What is not listed carries nothing.
//   - grants: for subject tokens without a scope of their own, the scopes that
//     their mere presentation carries. A token whose scope is unknown is refused
//     where grants is absent. At least one of scopes and grants is required.
//   - request_context: the keys of the request's request_context that are copied
//     into the claim rctx. Other keys are dropped.
//   - add_request_context: strings that the service itself puts into rctx.
//   - request_details: the keys of the request's request_details that are copied
//     into the claim tctx. Other keys are dropped; without a required one, which
//     null does not satisfy, the request is refused.
//   - lifetime: of the TraT, in whole seconds, at most 300s; default 15s.
//   - lifetime_reason: why it is longer than 120s; required then.
//   - allow_outlive: true lets the TraT live longer than the subject token.
//   - impersonation: true, required for and only for unsigned_json, whose subject
//     is whatever the requester says.
//
// Rules for the same requester, token type and issuer are told apart by the scopes
// that they can grant, so these may not overlap: one scope belongs to one rule, and
// a request stays within one rule. Two rules that could both apply are an error.
//
// Anchors, aliases, merge keys, duplicate keys, unknown keys and further documents
// are errors too; Parse reports all problems of a file at once. ParseFor also reports
// rules that can never apply in the service that the policy is for.
//
// A refusal is an *trat.Error. Of a scope that no rule of the requester could ever
// grant it says SCOPE_EXCEEDED, as of one that this subject token does not carry:
// to the caller both are more scope than it has.
package policy
