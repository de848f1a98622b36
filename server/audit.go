package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Record is one decision of Exchange. It holds no token and no subject, so that it may
// be kept. What was not known when the decision fell is empty.
type Record struct {
	// DecisionID is random and names this decision. The log line that has the cause of a
	// refusal has it too.
	DecisionID string
	// Time is when the request was taken up.
	Time time.Time
	// Reason is why nothing was issued; empty when a token was. Words beyond trat's
	// reasons are the gRPC code names CANCELLED and DEADLINE_EXCEEDED.
	Reason trat.Reason
	// Parameters are the parameters at fault, and their members at fault that policy
	// declares, such as "request_details.order_id": the names that the caller was told, and
	// no values.
	Parameters []string
	// OmittedRefusals is how many requests of the same requester were refused for its
	// limits since the last record of that, and have none of their own: in a flood one
	// refusal a second is recorded. Only with trat.ReasonRateLimited.
	OmittedRefusals int
	// Requester is the SPIFFE ID of the workload that asked.
	Requester string
	// SubjectTokenType is empty if the request named a type that is not served.
	SubjectTokenType string
	// SubjectIssuer is the verified issuer of the subject token.
	SubjectIssuer string
	// SubjectPseudonym stands for the subject: a keyed hash. Within one period of one key
	// the same subject has the same pseudonym; see Config.PseudonymKey.
	SubjectPseudonym string
	// SubjectPseudonymKey names the key and the period that SubjectPseudonym was made
	// with: only pseudonyms for which it is the same can be compared.
	SubjectPseudonymKey string
	// TransactionID is the txn of the issued token.
	TransactionID string
	// Fingerprint is the SHA-256 of the issued token, base64url.
	Fingerprint string
	// TokenSize is the length of the issued token in bytes.
	TokenSize int
	// ReplacedFingerprint is the SHA-256 of the token that the issued one replaces,
	// base64url; empty for the first token of a transaction. A refused replacement has it
	// too, if the token to be replaced was good.
	ReplacedFingerprint string
	// ReplacementCount is how many tokens of the transaction were replaced up to the
	// issued one, 0 for the first.
	ReplacementCount int
	// ChainResult is what was found of the call chain by which the requester proves that it
	// received the replaced token: "ok", or why it proves nothing, such as "missing" or
	// "link_invalid". Empty if it sent none and needed none.
	ChainResult string
	// ChainLinkHash is the hash of the last link of the verified chain, base64url: the claim
	// chn of the issued token, and the name of that link in the records of the calls.
	ChainLinkHash string
	// ChainLinks is how many links were verified.
	ChainLinks int
	// Repeated says that nothing new was issued: the request was sent again, and the
	// answer is that of the first one (see IdempotencyWindow). Everything about the token
	// is as in the record of the first.
	Repeated bool
	// Scope is what was granted.
	Scope string
	// IssuedAt and Expiry are those of the issued token.
	IssuedAt, Expiry time.Time
	// OutlivesSubject tells that the issued token ends after the subject token: a risk
	// that policy took (draft section 6).
	OutlivesSubject bool
	// Rule is the policy rule that decided: the one that granted or, for a refusal, the one
	// that was selected. It is empty if it came to no selection, or no rule was for it.
	Rule string
	// DroppedMembers are the optional members of tctx and rctx that policy could not build,
	// such as "tctx.total".
	DroppedMembers []string
	// EvaluationPDP is the policy decision point that policy wanted to be asked, by its name
	// in the configuration; empty for none.
	EvaluationPDP string
	// EvaluationFailedOpen says that it gave no decision, and that policy lets tokens be
	// issued then: a risk that policy took.
	EvaluationFailedOpen bool
	// PolicyVersion is the hash of the policy that decided.
	PolicyVersion string
	// RequestID is the caller's.
	RequestID string
}

// Issued reports whether a token was issued.
func (r Record) Issued() bool { return r.Reason == "" }

// Auditor keeps records. Record is called once per decision, before the caller has
// the answer, and must not block for long. An error (or a panic) does not change the
// decision; it is counted and logged. The context has the values of the call, its span
// among them, but not its end. Safe for concurrent use. Package auditlog has some.
type Auditor interface {
	Record(ctx context.Context, r Record) error
}

// newDecisionID returns 64 random bits, in hexadecimal: no part of it looks like a token
// to a log that redacts those.
func newDecisionID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: it ends the process instead
	return hex.EncodeToString(id[:])
}
