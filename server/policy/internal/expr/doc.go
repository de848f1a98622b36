// Package expr compiles and evaluates the expressions of policy files: CEL (cel-go) with
// names that are declared with types, a pinned set of functions, and a bound on cost
// before and while it runs.
//
// The variables of an expression:
//
//   - now, a timestamp: the time of the decision. There is no other clock.
//   - requester, a string: the SPIFFE ID of the workload that asks.
//   - scope, a list(string): the scope that is about to be granted.
//   - subject, with the fields id, issuer, token_type and scopes, a list(string).
//   - claims, details and context, with the declared members and no others. A member
//     that is absent, or null, makes the expression fail unless has() asks first.
//   - transaction, in the expressions of replacements only and instead of claims, with
//     the fields scopes, requester, chain, replacements, start, tctx and rctx.
//
// Functions and macros are those of package expression, with its bounds.
//
// Integers keep every digit: a JSON integer is an int, or a problem if 64 bits with a sign
// cannot hold it, and is never made a double unless it is declared so.
//
// Errors name variables, members and types, never values.
package expr
