package callchain

import (
	"errors"

	"github.com/grpc-trat/grpc-trat/trat"
)

var (
	errAbsent = errors.New("is required")
	errRange  = errors.New("is out of range")
)

// SignerOption tunes a Signer. Of one option given twice the last counts.
type SignerOption interface{ applySigner(*Signer) error }

// VerifierOption tunes a Verifier. Of one option given twice the last counts.
type VerifierOption interface{ applyVerifier(*Verifier) error }

// Option tunes both.
type Option interface {
	SignerOption
	VerifierOption
}

// WithClock sets the clock: what a Signer dates links by, and what a Verifier judges them
// by. Without this option it is time.Now.
func WithClock(c trat.Clock) Option { return clockOption(c) }

type clockOption trat.Clock

func (o clockOption) applySigner(s *Signer) error {
	s.clock = trat.Clock(o)
	return checkConfig("WithClock", o == nil, errAbsent)
}

func (o clockOption) applyVerifier(v *Verifier) error {
	v.clock = trat.Clock(o)
	return checkConfig("WithClock", o == nil, errAbsent)
}

// checkConfig names the parameter or option that has the problem.
func checkConfig(field string, bad bool, problem error) error {
	if !bad {
		return nil
	}
	return &trat.Error{Reason: trat.ReasonParameterInvalid, Field: field, Err: problem}
}
