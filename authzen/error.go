package authzen

import "strings"

// Kind is why there is no decision. It is itself an error, so that errors.Is finds it.
type Kind string

// Kinds of errors.
const (
	// KindRequest: the question is incomplete or cannot be marshalled. Nothing was sent.
	KindRequest Kind = "request is invalid"
	// KindCredential: there is no bearer token to send. Nothing was sent.
	KindCredential Kind = "credential is not available"
	// KindUnreachable: no answer; the connection failed, or the time was up.
	KindUnreachable Kind = "PDP is not reachable"
	// KindStatus: an HTTP status other than 200, a redirect among them.
	KindStatus Kind = "PDP did not answer with status 200"
	// KindAnswer: an answer that is not an access evaluation response.
	KindAnswer Kind = "answer is invalid"
)

// Error returns k as text.
func (k Kind) Error() string { return string(k) }

// Error is an evaluation without a decision. It holds nothing of the question, of the
// answer but its status, and of the credential.
type Error struct {
	Kind Kind
	// Status is the HTTP status of KindStatus, otherwise 0.
	Status int
	// RequestID is the X-Request-ID that the PDP was given; empty if nothing was sent.
	RequestID string
	// Err is the cause; may be nil.
	Err error
}

// Error joins kind and cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("authzen: ")
	b.WriteString(string(e.Kind))
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" (request ")
		b.WriteString(e.RequestID)
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns Kind and Err, so that errors.Is finds a Kind, context.DeadlineExceeded and
// context.Canceled.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
