package subject

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// IssuerConfig is one trusted issuer.
type IssuerConfig struct {
	// Issuer is the "iss" of its tokens, byte for byte: an https URL without query
	// and fragment, below which its metadata is found. Required.
	Issuer string
	// Prefix is the namespace of its subjects in the trust domain: 1 to 32 of a-z,
	// 0-9 and "-", unique. Required. To change it is to rename every subject.
	Prefix string
	// Audience is what the "aud" of its access tokens must contain: the resource
	// that the presenting workload is (RFC 9068 section 4). Empty: its access
	// tokens are refused.
	Audience string
	// ClientID is what the "aud" of its ID tokens must contain: the client that they
	// were issued to (OpenID Connect Core section 3.1.3.7). Empty: its ID tokens are
	// refused. Audience and ClientID may not both be empty.
	ClientID string
	// Algorithms are those its tokens may be signed with. Empty means ES256, EdDSA,
	// PS256 and RS256, each only with a key made for it. There is no other choice
	// to make: no HMAC, never none.
	Algorithms []trat.Algorithm
	// Skew is how far its clock may differ; 0 means DefaultSkew, at most MaxSkew.
	Skew time.Duration
	// OAuthMetadata finds its keys by OAuth metadata (RFC 8414) in place of OpenID
	// Connect Discovery.
	OAuthMetadata bool
	// InsecureLoopbackHTTP also allows http URLs, if their host is the loopback
	// interface. For development and tests.
	InsecureLoopbackHTTP bool
}

func (c IssuerConfig) skew() time.Duration {
	if c.Skew == 0 {
		return DefaultSkew
	}
	return c.Skew
}

func (c IssuersConfig) validate() error {
	var problems []error
	add := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("subject: "+format, args...))
	}
	if len(c.Issuers) == 0 {
		add("no issuers")
	}
	names, prefixes := make(map[string]bool), make(map[string]bool)
	for _, issuer := range c.Issuers {
		for _, err := range issuer.problems() {
			add("issuer %q: %w", issuer.Issuer, err)
		}
		if names[issuer.Issuer] {
			add("issuer %q: is there twice", issuer.Issuer)
		}
		if prefixes[issuer.Prefix] {
			add("issuer %q: Prefix %q is that of another issuer", issuer.Issuer, issuer.Prefix)
		}
		names[issuer.Issuer], prefixes[issuer.Prefix] = true, true
	}
	interval, stale := c.RefreshInterval, c.MaxStale
	if interval == 0 {
		interval = DefaultRefreshInterval
	}
	if stale == 0 {
		stale = DefaultMaxStale
	}
	if interval < time.Second {
		add("RefreshInterval is below 1s")
	}
	if stale < 2*interval {
		add("MaxStale is below twice RefreshInterval")
	}
	return errors.Join(problems...)
}

func (c IssuerConfig) problems() []error {
	var problems []error
	add := func(field string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", field, err))
		}
	}
	add("Issuer", c.checkURL(c.Issuer))
	if strings.Contains(c.Issuer, "?") {
		add("Issuer", errors.New("has a query"))
	}
	add("Prefix", checkPrefix(c.Prefix))
	if c.Audience == "" && c.ClientID == "" {
		add("Audience", errors.New("neither Audience nor ClientID: every token would be refused"))
	}
	for _, alg := range c.Algorithms {
		if !slices.Contains(allAlgorithms, alg) {
			add("Algorithms", fmt.Errorf("%q is not one of %v", alg, allAlgorithms))
		}
	}
	if c.Skew < 0 || c.Skew > MaxSkew {
		add("Skew", fmt.Errorf("want 0 to %s", MaxSkew))
	}
	return problems
}

// allAlgorithms are the algorithms that any issuer may be allowed.
var allAlgorithms = []trat.Algorithm{trat.ES256, trat.EdDSA, trat.PS256, trat.RS256}

// checkURL says whether something may be fetched from a URL of this issuer.
func (c IssuerConfig) checkURL(text string) error {
	const maxURL = 2048
	if len(text) > maxURL {
		return fmt.Errorf("longer than %d bytes", maxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Hostname() == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("holds a password")
	case u.Fragment != "":
		return errors.New("has a fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		if c.InsecureLoopbackHTTP {
			return nil
		}
		return errors.New("is not https (InsecureLoopbackHTTP is not set)")
	}
	return errors.New("is not https")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
