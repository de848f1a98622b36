package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// Kind is why an exchange has no answer that is wanted. It is itself an error, so that
// errors.Is finds it.
type Kind string

// Kinds of errors.
const (
	// KindUnreachable: the connection failed, or the time was up.
	KindUnreachable Kind = "no answer"
	// KindStatus: an HTTP status other than 200, a redirect among them.
	KindStatus Kind = "not status 200"
	// KindType: an answer of another type, or compressed.
	KindType Kind = "an answer of another type"
	// KindTooLong: a body that is too long.
	KindTooLong Kind = "too long an answer"
)

// Error returns k as text.
func (k Kind) Error() string { return string(k) }

// Error is an exchange without an answer that is wanted. It holds nothing of the answer
// but its status, and nothing of the question.
type Error struct {
	Kind Kind
	// Status is the HTTP status of KindStatus, otherwise 0.
	Status int
	// Err is the cause.
	Err error
}

// Error returns the cause.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Kind and Err, so that errors.Is finds a Kind, context.DeadlineExceeded
// and context.Canceled.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// unreachable returns what of err quotes nothing of the answer. The errors of HTTP's own
// parsers do, of a status line or a Location, and those of certificates quote names: who
// answers could write there what it was asked about, and have it in our log.
func unreachable(ctx context.Context, err error) *Error {
	cause := errors.New("the connection failed, or what came was not HTTP")
	if e, ok := errors.AsType[*net.OpError](err); ok {
		cause = e
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		cause = certificateCause(err)
	}
	for _, ended := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, ended) {
			cause = ended
		}
	}
	if ctx.Err() != nil {
		cause = ctx.Err()
	}
	return &Error{Kind: KindUnreachable, Err: cause}
}

func certificateCause(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("the certificate is signed by an unknown authority")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return errors.New("the certificate is for another host")
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return errors.New("the certificate has expired or is not yet valid")
	}
	return errors.New("the certificate is not to be trusted")
}
