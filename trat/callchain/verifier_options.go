package callchain

import (
	"errors"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	defaultCacheSize = 4096
	maxCacheSize     = 1 << 20
)

type verifierOption func(*Verifier) error

func (o verifierOption) applyVerifier(v *Verifier) error { return o(v) }

// NewVerifier returns a Verifier of links whose leaves chain to the bundle of their
// audience's trust domain in bundles, which is required. It reports every problem at once;
// each is an *Error with ReasonParameterInvalid whose Field is the name of the parameter or
// option.
func NewVerifier(bundles x509bundle.Source, opts ...VerifierOption) (*Verifier, error) {
	v := &Verifier{bundles: bundles, clock: time.Now, leeway: trat.DefaultLeeway, cacheSize: defaultCacheSize}
	errs := []error{checkConfig("bundles", bundles == nil, errAbsent)}
	for _, o := range opts {
		if o == nil {
			errs = append(errs, checkConfig("opts", true, errAbsent))
			continue
		}
		errs = append(errs, o.applyVerifier(v))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return v, nil
}

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
