package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// DefaultMaxWatchers bounds the open WatchKeys calls of one Server.
	DefaultMaxWatchers = 4096
	// DefaultRequestsPerSecond is how many exchanges a workload may ask for per second in
	// the long run.
	DefaultRequestsPerSecond = 1000
	// DefaultBurst is how many of them may come at once.
	DefaultBurst = 2000
	// DefaultMaxConcurrent bounds the exchanges of one Server that are under way.
	DefaultMaxConcurrent = 1024
	// DefaultPseudonymPeriod is how long a subject keeps its pseudonym.
	DefaultPseudonymPeriod = 24 * time.Hour
	// KeysInterval is how often WatchKeys sends the key set when nothing changes.
	KeysInterval = 30 * time.Second
	// KeysMaxAge is how long a receiver may use a key set without hearing again.
	KeysMaxAge = 10 * time.Minute
)

// Keys is the signing key and the set that is published. Its methods answer at once
// and are safe for concurrent use.
type Keys interface {
	// Signer returns the key that signs now, or trat.ReasonKeysUnavailable.
	Signer() (*trat.Signer, error)
	// Snapshot returns the published JWK Set and its version, which only grows.
	Snapshot() (jwks []byte, version uint64)
	// Changed returns a channel that is closed at the next change of the set.
	Changed() <-chan struct{}
}

// Subjects verifies subject tokens; *subject.Registry is one. Safe for concurrent use.
type Subjects interface {
	// Supports returns nil for a type that Verify knows of this requester, otherwise
	// trat.ReasonSubjectTokenTypeUnsupported.
	Supports(requester spiffeid.ID, subjectTokenType string) error
	// Verify judges one subject token.
	Verify(ctx context.Context, in subject.Input) (*subject.Principal, error)
}

// Config is what a Server is made of. New reports all problems of it at once. It prints
// without its key.
type Config struct {
	// TrustDomain is the one that tokens are issued for: the audience of requests and
	// the aud of tokens. Required.
	TrustDomain spiffeid.TrustDomain
	// Issuer is the iss of every token: an https URL without query and fragment, the
	// same for all replicas. Required.
	Issuer string
	// Keys signs. Required.
	Keys Keys
	// Policy returns the policy of this moment; it is asked once per decision. While it
	// returns nil, every request is refused with trat.ReasonPolicyUnavailable. Required.
	Policy func() *policy.Policy
	// Subjects verifies subject tokens. Required.
	Subjects Subjects
	// Bundles has the X.509 authorities of TrustDomain, which the certificates in the receipts
	// of replacements must come from. Required.
	Bundles x509bundle.Source
	// Auditor gets one record per decision. Required.
	Auditor Auditor
	// Logger gets the causes of refusals and faults. Required.
	Logger *slog.Logger

	// MaxWatchers bounds the open WatchKeys calls, see there for the share of one
	// workload; default DefaultMaxWatchers.
	MaxWatchers int
	// Evaluators are the policy decision points that the policy may ask, by the names that
	// it has for them. A grant that names another one is refused.
	Evaluators map[string]Evaluator

	// RequestsPerSecond and Burst bound the Exchange calls of one workload, all its
	// replicas together; default DefaultRequestsPerSecond and DefaultBurst. What is beyond
	// is refused with trat.ReasonRateLimited.
	RequestsPerSecond float64
	Burst             int
	// MaxConcurrent bounds the Exchange calls that are under way at once, with a share for
	// each workload as for MaxWatchers; default DefaultMaxConcurrent. What is beyond is
	// refused with trat.ReasonRateLimited.
	MaxConcurrent int

	// PseudonymKey is the secret, of 32 bytes, that subjects are replaced with by a keyed
	// hash; replicas with the same one make the same pseudonyms. Default: a random one,
	// which nobody has once the process has ended.
	PseudonymKey []byte
	// PseudonymPeriod is how long a subject keeps its pseudonym, in whole seconds; default
	// DefaultPseudonymPeriod. Periods are counted from 1970, so that replicas agree.
	PseudonymPeriod time.Duration

	// Clock defaults to time.Now.
	Clock trat.Clock
	// MeterProvider defaults to the global one.
	MeterProvider metric.MeterProvider
}

// String names the issuer. It does not print the key.
func (c Config) String() string { return fmt.Sprintf("server.Config(%q)", c.Issuer) }

// Format prints what String returns, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns what String returns.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText returns what String returns: as JSON, too, it has no key.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// complete fills the defaults in and returns every problem.
func (c *Config) complete() error {
	var problems []error
	required := func(name string, ok bool) {
		if !ok {
			problems = append(problems, fmt.Errorf("%s is required", name))
		}
	}
	required("Keys", c.Keys != nil)
	required("Policy", c.Policy != nil)
	required("Subjects", c.Subjects != nil)
	required("Bundles", c.Bundles != nil)
	required("Auditor", c.Auditor != nil)
	required("Logger", c.Logger != nil)
	problems = append(problems, trat.CheckTrustDomain(c.TrustDomain.Name()), trat.CheckIssuer(c.Issuer),
		c.completeLimits(), c.completePseudonyms())
	for name, evaluator := range c.Evaluators {
		if name == "" || evaluator == nil {
			problems = append(problems, fmt.Errorf("the evaluator %q has no name, or is nil", name))
		}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	return errors.Join(problems...)
}

// completeLimits sees to it that nothing is unlimited.
func (c *Config) completeLimits() error {
	var problems []error
	for _, limit := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"MaxWatchers", &c.MaxWatchers, DefaultMaxWatchers},
		{"Burst", &c.Burst, DefaultBurst},
		{"MaxConcurrent", &c.MaxConcurrent, DefaultMaxConcurrent},
	} {
		switch {
		case *limit.value < 0:
			problems = append(problems, fmt.Errorf("%s %d is negative", limit.name, *limit.value))
		case *limit.value == 0:
			*limit.value = limit.standard
		}
	}
	switch rate := c.RequestsPerSecond; {
	case rate == 0:
		c.RequestsPerSecond = DefaultRequestsPerSecond
	case !(rate > 0) || math.IsInf(rate, 1): // NaN is not above 0 either
		problems = append(problems, fmt.Errorf("RequestsPerSecond %g is not a positive number", rate))
	}
	return errors.Join(problems...)
}

func (c *Config) completePseudonyms() error {
	var problems []error
	if n := len(c.PseudonymKey); c.PseudonymKey != nil && n != pseudonymKeySize {
		problems = append(problems, fmt.Errorf("PseudonymKey has %d bytes, not %d", n, pseudonymKeySize))
	}
	switch period := c.PseudonymPeriod; {
	case period == 0:
		c.PseudonymPeriod = DefaultPseudonymPeriod
	case period < 0 || period%time.Second != 0:
		problems = append(problems, fmt.Errorf("PseudonymPeriod %s is not a positive number of seconds", period))
	}
	return errors.Join(problems...)
}
