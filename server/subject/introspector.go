package subject

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/sync/singleflight"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// breakerFailures is how many questions in a row may fail before the issuer is left
	// alone, and breakerPause for how long. Then one question finds out.
	breakerFailures = 5
	breakerPause    = 5 * time.Second

	// maxQuestions is how many questions one issuer is asked at once, half of them for one
	// requester. Others wait, and not at the issuer's expense: if their wait counted against
	// it, a flood of tokens would have it given up.
	maxQuestions = 128
)

// introspector asks one issuer about tokens. It is safe for concurrent use.
type introspector struct {
	issuer  IssuerConfig
	source  *provider // knows the endpoint, if the configuration does not
	fetch   fetcher
	clock   trat.Clock
	auth    clientAuth
	breaker *gobreaker.CircuitBreaker[trat.Object]
	flights singleflight.Group
	cache   *answerCache
	tasks   *tasks
	turns   *turns
}

func newIntrospector(p *provider, tasks *tasks) (*introspector, error) {
	auth, err := p.issuer.Introspection.clientAuth(p.issuer.Issuer)
	if err != nil {
		return nil, err
	}
	return &introspector{
		issuer:  p.issuer,
		source:  p,
		fetch:   p.fetch,
		clock:   p.clock,
		auth:    auth,
		breaker: newBreaker(p.issuer.Issuer, p.logger),
		cache:   newAnswerCache(),
		tasks:   tasks,
		turns:   newTurns(maxQuestions),
	}, nil
}

func newBreaker(issuer string, logger *slog.Logger) *gobreaker.CircuitBreaker[trat.Object] {
	return gobreaker.NewCircuitBreaker[trat.Object](gobreaker.Settings{
		Name:        issuer,
		MaxRequests: 1,
		Timeout:     breakerPause,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= breakerFailures },
		IsExcluded:  notTheIssuer,
		OnStateChange: func(name string, from, to gobreaker.State) {
			logger.Warn("the circuit breaker of an issuer's introspection has changed", "issuer", name, "from", from.String(), "to", to.String())
		},
	})
}

// notTheIssuer says whether err leaves open if the issuer is well. Whoever presents odd
// tokens, or has an odd name, must not be able to have it given up for everybody, nor is it
// down because this process ends.
func notTheIssuer(err error) bool {
	for _, odd := range []error{outbound.KindTooLong, errOddAnswer, context.Canceled} {
		if errors.Is(err, odd) {
			return true
		}
	}
	return slices.ContainsFunc(oddTokenStatus, func(code int) bool { return isStatus(err, code) })
}

// oddTokenStatus are what a well issuer, or what stands before it, says to a token that it
// does not like.
var oddTokenStatus = []int{
	http.StatusBadRequest,
	http.StatusRequestEntityTooLarge,
	http.StatusRequestURITooLong,
	http.StatusUnprocessableEntity,
	http.StatusRequestHeaderFieldsTooLarge,
}

// ask returns the answer for an active token. Its errors are SUBJECT_TOKEN_INVALID for
// a token that is not active, and DEPENDENCY_UNAVAILABLE for whatever else but an
// answer comes, or when ctx ends.
func (s *introspector) ask(ctx context.Context, in Input) (trat.Object, error) {
	key := digest(sha256.Sum256([]byte(in.Token)))
	if text, ok := s.cache.get(key, s.clock()); ok {
		return text, nil
	}
	// A flight serves all who wait for it, so that it must not end with the first one.
	detached := context.WithoutCancel(ctx)
	flight := s.flights.DoChan(string(key[:]), func() (any, error) { return s.fly(detached, key, in) })
	select {
	case result := <-flight:
		text, _ := result.Val.(trat.Object)
		return text, result.Err
	case <-ctx.Done():
		return trat.Object{}, s.unavailable(ctx.Err())
	}
}

// fly asks once. A panic is an error: outside of the request's own goroutine nobody
// else would catch it.
func (s *introspector) fly(ctx context.Context, key digest, in Input) (text trat.Object, err error) {
	defer func() {
		if v := recover(); v != nil {
			text, err = trat.Object{}, trat.Errorf(trat.ReasonInternal, "", "subject: introspection: panic (%T)", v)
		}
	}()
	began := s.clock()
	if text, ok := s.cache.get(key, began); ok { // of a flight that has just landed
		return text, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done, ok := s.tasks.begin(cancel)
	if !ok {
		return trat.Object{}, s.unavailable(errors.New("is closed"))
	}
	defer done()
	endpoint, leave, err := s.turn(ctx, in.Requester)
	if err != nil {
		return trat.Object{}, err
	}
	defer leave()
	text, err = s.breaker.Execute(func() (trat.Object, error) { return s.post(ctx, endpoint, in.Token) })
	if err != nil {
		return trat.Object{}, s.unavailable(err)
	}
	if active, _ := text.Bool("active"); !active {
		return trat.Object{}, invalid("subject_token", "is not active")
	}
	s.cache.put(key, text, s.goodUntil(text, began), s.clock())
	return text, nil
}

// goodUntil is how long an answer may be used again that was asked for at the given
// time.
func (s *introspector) goodUntil(text trat.Object, began time.Time) time.Time {
	until := began.Add(s.issuer.Introspection.cacheTTL())
	if exp, ok := text.Int64("exp"); ok && exp < until.Unix() {
		return time.Unix(exp, 0)
	}
	return until
}

// turn waits until a question may be asked, for no longer than its answer may take, and
// returns where to ask. Call leave after the answer.
func (s *introspector) turn(ctx context.Context, requester spiffeid.ID) (endpoint string, leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.issuer.Introspection.timeout())
	defer cancel()
	if endpoint, err = s.endpoint(ctx); err != nil {
		return "", nil, err
	}
	if leave, err = s.turns.take(ctx, requester); err != nil {
		return "", nil, s.unavailable(fmt.Errorf("too many questions are under way: %w", err))
	}
	return endpoint, leave, nil
}

// endpoint is where to ask.
func (s *introspector) endpoint(ctx context.Context) (string, error) {
	if configured := s.issuer.Introspection.Endpoint; configured != "" {
		return configured, nil
	}
	return s.source.introspectionEndpoint(ctx)
}

// post asks (RFC 7662 section 2.1). Its error holds nothing of the answer but the
// status code, and nothing of the question.
func (s *introspector) post(ctx context.Context, endpoint, token string) (trat.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, s.issuer.Introspection.timeout())
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	header := make(http.Header)
	if err := s.auth.apply(form, header, s.clock()); err != nil {
		return trat.Object{}, err
	}
	text, err := s.fetch.post(ctx, endpoint, header, form)
	if err != nil {
		return trat.Object{}, err
	}
	return parseAnswer(text)
}

func (s *introspector) unavailable(err error) error {
	return trat.Errorf(trat.ReasonDependencyUnavailable, "", "introspection at issuer %q: %w", s.issuer.Issuer, err)
}

// principal verifies an opaque access token.
func (s *introspector) principal(ctx context.Context, in Input) (*Principal, error) {
	answer, err := s.ask(ctx, in)
	if err != nil {
		return nil, err
	}
	return s.issuer.opaquePrincipal(answer, in.Now)
}

// confirm asks about a JWT that was verified, and takes from its principal whatever
// the issuer no longer says of it.
func (s *introspector) confirm(ctx context.Context, in Input, p *Principal) error {
	answer, err := s.ask(ctx, in)
	if err != nil {
		return err
	}
	return s.issuer.confirm(answer, p, in.Now)
}
