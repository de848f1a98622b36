package subject

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
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
	// refused.
	ClientID string
	// JWTAudience is what the "aud" of its other JWTs must contain: those that are
	// neither RFC 9068 access tokens nor ID tokens. Empty: they are refused. It must
	// not be ClientID, which would let an ID token pass for one of them. Audience,
	// ClientID and JWTAudience may not all be empty.
	JWTAudience string
	// JWTTypes are the typ that its other JWTs may have: media types, without regard
	// to case, without "application/". "JWT" stands for an absent typ too. Empty means
	// JWT; a type of their own is better (RFC 8725 section 3.11).
	JWTTypes []string
	// Introspection has the issuer asked about its access tokens. nil: it is never
	// asked, opaque tokens are refused, and JWTs are good until they expire.
	Introspection *IntrospectionConfig
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

// IssuerProblem is one thing wrong with one issuer. The error of NewIssuers joins them.
type IssuerProblem struct {
	// Index is the issuer's place in IssuersConfig.Issuers, from 0.
	Index int
	// Issuer is its IssuerConfig.Issuer.
	Issuer string
	// Field is the name of the field of IssuerConfig that is at fault; for one of its
	// IntrospectionConfig, "Introspection." and the name there.
	Field string
	// Err says what is wrong with it, in words that name no field.
	Err error
}

// Error joins issuer, field and cause.
func (p *IssuerProblem) Error() string {
	return fmt.Sprintf("subject: issuer %q: %s: %v", p.Issuer, p.Field, p.Err)
}

// Unwrap returns Err.
func (p *IssuerProblem) Unwrap() error { return p.Err }

// CheckIssuers says what is wrong with issuers whose credentials for introspection need
// not be there, as where a configuration is judged by who may not read its secrets. Those
// that are there are checked. Its error joins an *IssuerProblem for each thing.
func CheckIssuers(issuers []IssuerConfig) error {
	_, err := checkIssuers(issuers)
	return err
}

// checkIssuers is CheckIssuers that also returns the route to each issuer, without the
// introspector at its end.
func checkIssuers(issuers []IssuerConfig) ([]route, error) {
	var problems []error
	routes := make([]route, len(issuers))
	names, prefixes := make(map[string]bool), make(map[string]bool)
	for i, issuer := range issuers {
		bad := problemsOf(issuers, i, &problems)
		issuer.check(bad)
		routes[i] = issuer.route(bad)
		if names[issuer.Issuer] {
			bad("Issuer", errors.New("is there twice"))
		}
		if prefixes[issuer.Prefix] {
			bad("Prefix", fmt.Errorf("%q is that of another issuer", issuer.Prefix))
		}
		// What is missing is no name that could be used twice.
		names[issuer.Issuer], prefixes[issuer.Prefix] = issuer.Issuer != "", issuer.Prefix != ""
	}
	checkRoutes(issuers, routes, func(i int, field string, err error) { problemsOf(issuers, i, &problems)(field, err) })
	return routes, errors.Join(problems...)
}

// problemsOf returns what adds a problem of the issuer at i.
func problemsOf(issuers []IssuerConfig, i int, problems *[]error) (bad func(field string, err error)) {
	return func(field string, err error) {
		*problems = append(*problems, &IssuerProblem{Index: i, Issuer: issuers[i].Issuer, Field: field, Err: err})
	}
}

// validate returns every problem or, if there is none, the route to each issuer.
func (c IssuersConfig) validate() ([]route, error) {
	var problems []error
	add := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("subject: "+format, args...))
	}
	if len(c.Issuers) == 0 {
		add("no issuers")
	}
	routes, err := checkIssuers(c.Issuers)
	if err != nil {
		problems = append(problems, err)
	}
	for i, issuer := range c.Issuers {
		if issuer.Introspection != nil {
			issuer.Introspection.checkCredential(problemsOf(c.Issuers, i, &problems))
		}
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
	return routes, errors.Join(problems...)
}

// check calls bad for each field that is wrong.
func (c IssuerConfig) check(bad func(field string, err error)) {
	add := func(field string, err error) {
		if err != nil {
			bad(field, err)
		}
	}
	switch err := outbound.CheckURL(c.Issuer, outbound.URLRules{LoopbackHTTP: c.InsecureLoopbackHTTP}); {
	case c.Issuer == "":
		add("Issuer", errors.New("is required"))
	case errors.Is(err, outbound.ErrLoopbackHTTP):
		add("InsecureLoopbackHTTP", errors.New("must be true for an issuer that is plain http on this host"))
	default:
		add("Issuer", err)
	}
	add("Prefix", checkPrefix(c.Prefix))
	if c.Audience == "" && c.ClientID == "" && c.JWTAudience == "" {
		add("Audience", errors.New("is required for access tokens, as the client ID is for ID tokens and another audience for other JWTs: with none of them, every token would be refused"))
	}
	c.checkJWT(bad)
	c.checkIntrospection(bad)
	for _, alg := range c.Algorithms {
		if !slices.Contains(allAlgorithms, alg) {
			add("Algorithms", fmt.Errorf("%q is not one of %v", alg, allAlgorithms))
		}
	}
	if c.Skew < 0 || c.Skew > MaxSkew {
		add("Skew", fmt.Errorf("want 0 to %s", MaxSkew))
	}
}

// allAlgorithms are the algorithms that any issuer may be allowed.
var allAlgorithms = []trat.Algorithm{trat.ES256, trat.EdDSA, trat.PS256, trat.RS256}

// checkURL says whether something may be fetched from a URL of this issuer.
func (c IssuerConfig) checkURL(text string) error {
	return outbound.CheckURL(text, outbound.URLRules{Query: true, LoopbackHTTP: c.InsecureLoopbackHTTP})
}
