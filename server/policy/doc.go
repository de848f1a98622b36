// Package policy decides what the token service issues: which requester may
// present which type of subject token, for which scopes, with which contexts and
// for how long. Nothing is granted that no rule grants: the zero Policy, a policy
// without rules and the zero Grant grant nothing.
//
// A policy is a YAML file; docs/policy.md is its reference:
//
//	version: 1
//	details: {order_id: int, note: string}
//	context: {ip: string}
//	rules:
//	  - name: gateway-orders
//	    requester: spiffe://shop.test/gateway
//	    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
//	    issuers: [https://login.shop.test]
//	    scopes:
//	      orders:write: [order.create]
//	    when: details.order_id > 0
//	    tctx: {order_id: details.order_id, note: optional details.note}
//	    rctx: {ip: optional context.ip, channel: {value: web}}
//	    lifetime: 15s
//
// # Selection
//
// A rule is selected by fixed values: requester, type, issuer and claims of the subject
// token, and the scopes that it can grant. So rules can be compared when the file is
// read, and two that could both decide a request are an error: at most one rule decides,
// and their order means nothing. An expression (when) is a further condition of the
// selected rule and selects nothing.
//
// # Errors
//
// Parse reports all problems of a file at once, as a *Problem each. ParseFor also
// reports rules that can never apply in the service that the policy is for.
//
// A refusal is an *trat.Error. Of a scope that no rule of the requester could ever
// grant it says SCOPE_EXCEEDED, as of one that this subject token does not carry:
// to the caller both are more scope than it has. Causes name rules, keys and members,
// never values.
//
// # Files that change
//
// A Source is the policy of a file that may change while the program runs. Package
// policytest compares what a policy decides with a table of what it should, and Explain
// says how a decision came about.
package policy
