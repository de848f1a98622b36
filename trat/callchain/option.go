package callchain

import (
	"errors"
	"time"

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

type signerOption func(*Signer) error

func (o signerOption) applySigner(s *Signer) error { return o(s) }

// WithLifetime sets how long links may be on their way: whole seconds, from one to
// MaxLifetime, DefaultLifetime without this option. No link outlives its TraT, but each
// has a second.
func WithLifetime(d time.Duration) SignerOption {
	return signerOption(func(s *Signer) error {
		s.lifetime = d
		return checkConfig("WithLifetime", d < time.Second || d > MaxLifetime || d%time.Second != 0, errRange)
	})
}

// WithSignatureRate sets the budget of signatures per second: more than 0, at most a
// million, 500 for each of GOMAXPROCS without this option. What is not used is saved for 10
// milliseconds. One caller at a time, or two, exceed the budget rather than wait: the less
// there is to share, the more a wait costs.
func WithSignatureRate(perSecond float64) SignerOption {
	return signerOption(func(s *Signer) error {
		s.signatureRate = perSecond
		return checkConfig("WithSignatureRate", !(perSecond > 0 && perSecond <= maxSignatureRate), errRange)
	})
}

// WithMaxGroup sets how many links may share a signature: 1 to 1024, which is also the
// default. Each doubling adds 32 characters to their chains. Eight times as many may wait.
func WithMaxGroup(links int) SignerOption {
	return signerOption(func(s *Signer) error {
		s.maxGroup = links
		return checkConfig("WithMaxGroup", links < 1 || links > maxGroup, errRange)
	})
}

type verifierOption func(*Verifier) error

func (o verifierOption) applyVerifier(v *Verifier) error { return o(v) }

// WithLeeway sets how far the clocks of workloads and token service may differ: 0 to
// trat.MaxLeeway, trat.DefaultLeeway without this option.
func WithLeeway(d time.Duration) VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.leeway = d
		return checkConfig("WithLeeway", d < 0 || d > trat.MaxLeeway, errRange)
	})
}

// WithCacheSize sets how many leaves and how many roots of groups, once verified, are
// remembered for each trust domain, rounded up to a power of two: 0 turns both caches off,
// at most 1<<20; 4096 without this option. A root takes about 200 bytes, a leaf about 4 KiB.
func WithCacheSize(entries int) VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.cacheSize = entries
		return checkConfig("WithCacheSize", entries < 0 || entries > maxCacheSize, errRange)
	})
}

// checkConfig names the parameter or option that has the problem.
func checkConfig(field string, bad bool, problem error) error {
	if !bad {
		return nil
	}
	return &trat.Error{Reason: trat.ReasonParameterInvalid, Field: field, Err: problem}
}
