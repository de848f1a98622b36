// Package authzen asks a Policy Decision Point (PDP) for an access decision, by the Access
// Evaluation API of OpenID AuthZEN's Authorization API 1.0 (section 6) in its HTTPS binding
// (section 10).
//
// There is a decision only when the PDP has said so: an answer that is late, is an error, is
// not JSON, or has no boolean "decision" is an *Error, and what that means (deny, or not) is
// the caller's business. A PDP is outside the process and may be broken or hostile, so its
// answer is bounded, redirects are not followed, and nothing of the answer is in an error.
//
// The context of a decision (obligations, reasons for people) is ignored. Batches
// (section 7), searches (section 8) and metadata (section 9) are not implemented.
package authzen
