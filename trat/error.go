package trat

import (
	"errors"
	"fmt"
)

// Error is a failure with its Reason and, where there is one, the name of the
// claim, parameter or field at fault. Neither Error nor anything it wraps holds
// token bytes, claim values or keys.
type Error struct {
	Reason Reason
	// Field is a claim ("exp"), header ("typ") or parameter name; empty when the
	// failure concerns no single one.
	Field string
	// Err is the cause; it is for the log of this process, not for a peer.
	Err error
}

// Errorf returns an *Error whose cause is formatted as by fmt.Errorf; an empty
// format means no cause.
func Errorf(reason Reason, field, format string, args ...any) *Error {
	e := &Error{Reason: reason, Field: field}
	if format != "" {
		e.Err = fmt.Errorf(format, args...)
	}
	return e
}

// Error joins reason, field and cause.
func (e *Error) Error() string {
	s := string(e.Reason)
	if e.Field != "" {
		s += ": " + e.Field
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap makes errors.Is find both the Reason and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// ReasonOf returns the first Reason in err's tree, depth first, and whether there
// is one.
func ReasonOf(err error) (Reason, bool) {
	var r Reason
	ok := errors.As(err, &r)
	return r, ok
}
