package subject

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Issuers are the issuers of access tokens, ID tokens and other JWTs. It fetches and
// keeps their keys and asks them about tokens: Start begins, Close ends that. It is safe
// for concurrent use.
//
// A token's issuer is looked up by its unverified "iss" among the configured ones,
// byte for byte, and that issuer then verifies the token. So a token can choose
// among what is configured, and nothing else. An opaque token says nothing: whose it is
// follows from who presents it, by configuration.
//
// Keys are refreshed every RefreshInterval, ten percent more or less. A token that
// names a key which is not there starts a fetch at most every 10 s for each issuer;
// all tokens that wait for the fetch share it, for at most 5 s. A bad answer never
// replaces good keys; they are used until they are older than MaxStale.
type Issuers struct {
	byName    map[string]*provider
	ordered   []*provider
	routes    []route // of opaque tokens
	fetch     fetcher
	questions tasks

	lifecycle sync.Mutex
	cancel    context.CancelFunc // nil until Start
	closed    bool
	running   sync.WaitGroup
}

// NewIssuers checks cfg, all problems at once, and returns issuers without keys.
// It does no I/O.
func NewIssuers(cfg IssuersConfig) (*Issuers, error) {
	routes, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	i := &Issuers{byName: make(map[string]*provider, len(cfg.Issuers)), fetch: newFetcher(cfg.Transport)}
	shared := providerConfig{
		fetch:    i.fetch,
		clock:    cfg.Clock,
		logger:   cfg.Logger,
		interval: cfg.RefreshInterval,
		maxStale: cfg.MaxStale,
	}
	shared.setDefaults()
	for n, issuer := range cfg.Issuers {
		p := newProvider(issuer, shared)
		i.byName[issuer.Issuer] = p
		i.ordered = append(i.ordered, p)
		if issuer.Introspection == nil {
			continue
		}
		if p.introspector, err = newIntrospector(p, &i.questions); err != nil {
			return nil, err
		}
		if issuer.opaque() {
			routes[n].to = p.introspector
			i.routes = append(i.routes, routes[n])
		}
	}
	return i, nil
}

// Start begins to fetch keys. It returns at once; tokens that come before the
// first fetch has ended wait for it. More calls, and calls after Close, do nothing.
func (i *Issuers) Start() {
	i.lifecycle.Lock()
	defer i.lifecycle.Unlock()
	if i.cancel != nil || i.closed {
		return
	}
	var ctx context.Context
	ctx, i.cancel = context.WithCancel(context.Background())
	for _, p := range i.ordered {
		p.start()
		i.running.Go(func() { p.run(ctx) })
	}
}

// Close ends fetching and asking, and waits until both have ended. Tokens that wait for
// either are refused with DEPENDENCY_UNAVAILABLE. It returns nil; more calls do nothing.
func (i *Issuers) Close() error {
	i.lifecycle.Lock()
	i.closed = true
	if i.cancel != nil {
		i.cancel()
	}
	i.lifecycle.Unlock()

	i.running.Wait()
	i.questions.close()
	i.fetch.client.Close()
	return nil
}

// Ready returns nil while each issuer has keys that are not older than MaxStale.
// Otherwise it joins what is wrong with each one that has not.
func (i *Issuers) Ready() error {
	var problems []error
	for _, p := range i.ordered {
		if _, err := p.usable(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// route returns who is asked about the opaque tokens of a requester; nil if nobody is.
func (i *Issuers) route(requester spiffeid.ID) *introspector {
	for _, r := range i.routes {
		if r.serves(requester) {
			return r.to
		}
	}
	return nil
}

// verify reads a JWT of a configured issuer, of one of the types that the issuer's
// configuration gives it, and checks what all JWTs of issuers have in common; claims
// checks the rest. It is called before the signature is verified, so that what is cheap
// comes first.
func (i *Issuers) verify(ctx context.Context, in Input, types func(IssuerConfig) []string, claims func(IssuerConfig, *claimReader)) (*Principal, error) {
	j, err := parseJWS(in.Token)
	if err != nil {
		return nil, err
	}
	r := claimReader{claims: j.claims}
	iss := r.text("iss", maxClaim)
	if r.err != nil {
		return nil, r.err
	}
	p, ok := i.byName[iss]
	if !ok {
		return nil, invalid("iss", "is not a configured issuer")
	}
	if !j.hasType(types(p.issuer)...) {
		return nil, invalid("typ", "is not that of the subject_token_type")
	}
	if !p.accepts(j.alg) {
		return nil, invalid("alg", "is not allowed for the issuer")
	}
	claims(p.issuer, &r)
	sub := r.text("sub", maxSub)
	skew := p.issuer.skew()
	exp, _ := r.lifetime(in.Now, skew, skew)
	if r.err != nil {
		return nil, r.err
	}
	subject, err := qualify(p.issuer.Prefix, sub)
	if err != nil {
		return nil, err
	}
	key, err := p.key(ctx, j.kid, j.alg)
	if err != nil {
		return nil, err
	}
	if err := j.verify(key); err != nil {
		return nil, err
	}
	return &Principal{Issuer: p.issuer.Issuer, Subject: subject, Expiry: exp, Claims: j.claims}, nil
}

// any says whether some issuer satisfies ok.
func (i *Issuers) any(ok func(IssuerConfig) bool) bool {
	if i == nil {
		return false
	}
	for _, p := range i.ordered {
		if ok(p.issuer) {
			return true
		}
	}
	return false
}

// IssuersConfig configures NewIssuers.
type IssuersConfig struct {
	// Issuers are the trusted issuers; at least one.
	Issuers []IssuerConfig
	// Transport makes the requests to the issuers. nil means one of our own, with
	// the system's certificate authorities and proxy settings.
	Transport http.RoundTripper
	// Clock tells the age of keys and answers; nil means time.Now.
	Clock trat.Clock
	// Logger is told about failed fetches, refused keys and issuers that do not answer;
	// nil means slog.Default.
	Logger *slog.Logger
	// RefreshInterval is the time between fetches of an issuer's keys; 0 means
	// DefaultRefreshInterval.
	RefreshInterval time.Duration
	// MaxStale is how long keys are used after they were last fetched; 0 means
	// DefaultMaxStale. At least twice RefreshInterval.
	MaxStale time.Duration
}

// Defaults of IssuersConfig.
const (
	DefaultRefreshInterval = 5 * time.Minute
	DefaultMaxStale        = time.Hour
)
