package trat

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// VerifierOption tunes a Verifier. Of one option given twice the last counts.
type VerifierOption interface{ apply(*Verifier) error }

type verifierOption func(*Verifier) error

func (o verifierOption) apply(v *Verifier) error { return o(v) }

// NewVerifier returns a Verifier of the TraTs that issuer, an https URL, issues for
// trustDomain, a SPIFFE trust domain name, and signs with a key of keys. All three
// are required. It reports every problem at once; each is an *Error with
// ReasonParameterInvalid whose Field is the name of the parameter or option.
func NewVerifier(trustDomain, issuer string, keys KeySet, opts ...VerifierOption) (*Verifier, error) {
	v := &Verifier{
		trustDomain: trustDomain,
		issuer:      issuer,
		keys:        keys,
		algorithms:  []Algorithm{ES256},
		leeway:      DefaultLeeway,
		maxLifetime: MaxLifetime,
		clock:       time.Now,
		cacheSize:   defaultCacheSize,
	}
	errs := []error{
		CheckTrustDomain(trustDomain),
		CheckIssuer(issuer),
	}
	// A nil set comes of an error of ParseJWKS that was passed over; it must not wait for
	// the first token to panic.
	if set, static := keys.(*StaticKeySet); keys == nil || static && set == nil {
		errs = append(errs, checkConfig("keys", errAbsent))
	}
	for _, o := range opts {
		if o == nil {
			errs = append(errs, checkConfig("opts", errAbsent))
			continue
		}
		errs = append(errs, o.apply(v))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if v.cacheSize > 0 {
		v.cache = newCache(v.cacheSize)
	}
	return v, nil
}

// WithLeeway sets how far the clocks of issuer and verifier may differ: 0 to
// MaxLeeway, DefaultLeeway without this option.
func WithLeeway(d time.Duration) VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.leeway = d
		return checkConfig("WithLeeway", outside(d, 0, MaxLeeway))
	})
}

// WithMaxLifetime sets the longest lifetime (exp less iat) that is accepted, to
// which the leeway is added: one second to MaxLifetime, which is also the default.
func WithMaxLifetime(d time.Duration) VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.maxLifetime = d
		return checkConfig("WithMaxLifetime", outside(d, time.Second, MaxLifetime))
	})
}

// WithAlgorithms sets the algorithms that are accepted. Without this option it is
// ES256 alone.
func WithAlgorithms(algs ...Algorithm) VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.algorithms = slices.Clone(algs)
		if len(algs) == 0 {
			return checkConfig("WithAlgorithms", errAbsent)
		}
		if slices.ContainsFunc(algs, func(a Algorithm) bool { return !a.known() }) {
			return checkConfig("WithAlgorithms", errNotAllowed)
		}
		return nil
	})
}

// WithClock sets the clock, time.Now without this option.
func WithClock(c Clock) VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.clock = c
		if c == nil {
			return checkConfig("WithClock", errAbsent)
		}
		return nil
	})
}

// WithCacheSize sets how many verified tokens are remembered, rounded up to a power
// of two: 0 turns the cache off, at most 1<<20; 8192 without this option. An entry
// holds what the token says, not its signature, and takes about twice as much memory as
// the token is long until another replaces it.
func WithCacheSize(entries int) VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.cacheSize = entries
		return checkConfig("WithCacheSize", outside(entries, 0, maxCacheSize))
	})
}

// UnsafeAllowMissingIssuer accepts tokens without iss, for token services that do
// not set it. An iss that is there must still match. It is unsafe where keys holds
// keys of more than one issuer.
func UnsafeAllowMissingIssuer() VerifierOption {
	return verifierOption(func(v *Verifier) error {
		v.allowMissingIssuer = true
		return nil
	})
}

func outside[T int | int64 | time.Duration](n, low, high T) error {
	if n < low || n > high {
		return errRange
	}
	return nil
}

// CheckTrustDomain says whether tokens can be issued for the trust domain of this name and
// NewVerifier takes it: PARAMETER_INVALID, Field "trustDomain", if not.
func CheckTrustDomain(name string) error { return checkConfig("trustDomain", checkTrustDomain(name)) }

// CheckIssuer says whether issuer can be the iss of tokens and NewVerifier takes it: an
// https URL without user, query and fragment. Its error is PARAMETER_INVALID, Field
// "issuer".
func CheckIssuer(issuer string) error { return checkConfig("issuer", checkIssuer(issuer)) }

// checkConfig names the parameter that err is about; without err there is none.
func checkConfig(field string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Reason: ReasonParameterInvalid, Field: field, Err: err}
}

// checkTrustDomain holds a name to SPIFFE-ID section 2.1.
func checkTrustDomain(name string) error {
	if err := checkText(name, maxAudienceSize); err != nil {
		return err
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return errCharacter
	}
	return nil
}

// checkIssuer holds an issuer to RFC 8414 section 2: an https URL without query and
// fragment.
func checkIssuer(issuer string) error {
	if err := checkText(issuer, maxIssuerSize); err != nil {
		return err
	}
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#") {
		return errIssuer
	}
	return nil
}
