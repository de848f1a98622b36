package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc/metadata"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// notAccessToken is the token_type of a TraT (draft section 11.4).
	notAccessToken = "N_A"

	// issuedToken is what errors call the answer's access_token (RFC 8693), lest it be
	// taken for an access token that was sent as the subject token.
	issuedToken = "issued token"

	// maxKeyWait is how long an answer may wait for a key that the watch has not
	// brought yet. A new key is published two seconds before it signs.
	maxKeyWait = 5 * time.Second
)

// Request is one token exchange. The grant type, the audience (Config.TrustDomain)
// and the requested token type are filled in by Exchange; the requester is who the
// connection says (draft section 11.1).
type Request struct {
	// SubjectToken is the credential that the subject of the transaction is
	// derived from. Required.
	SubjectToken string
	// SubjectTokenType says what SubjectToken is. Required.
	SubjectTokenType SubjectTokenType
	// Scope is the purpose of the transaction: space-separated, case-sensitive
	// scope tokens. Required. The token service grants it as asked or refuses; where its
	// policy narrows, it may grant a part, which Token.Scope tells.
	Scope string
	// Context is the environment of the request: the caller's address, how the user
	// authenticated. The token service decides what of it becomes rctx. Optional.
	Context trat.Object
	// Details are the parameters of the request. The token service decides what of
	// them becomes tctx. Optional.
	Details trat.Object
	// RequestID names the request in both sides' logs: up to 64 letters, digits and
	// "._~-". The token service gives a request that it has answered within the last few
	// seconds the same answer again, and refuses the id with other parameters
	// (PARAMETER_INVALID). Optional: a random one.
	RequestID string
	// CallChain is the receipt ([callchain.Chain.Receipt]) of the call chain that a TraT came
	// with: only where SubjectTokenType is TransactionToken, and there required of a workload
	// that did not request that TraT itself. Client.Replace fills it in.
	CallChain string
}

// LogValue keeps everything but the subject token's type and the request id out of
// logs.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("subject_token_type", string(r.SubjectTokenType)),
		slog.String("request_id", r.RequestID),
	)
}

// MarshalJSON does the same for a Request inside of what is logged as JSON.
func (r Request) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{
		"subject_token_type": string(r.SubjectTokenType),
		"request_id":         r.RequestID,
	})
}

// Format does the same for every fmt verb.
func (r Request) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "exchange{subject_token_type: %q, request_id: %q}", string(r.SubjectTokenType), r.RequestID)
}

// validate reports every parameter that is missing, and a malformed scope.
func (r Request) validate() (trat.Scope, error) {
	var problems []error
	for _, p := range []struct{ name, value string }{
		{"subject_token", r.SubjectToken},
		{"subject_token_type", string(r.SubjectTokenType)},
		{"scope", r.Scope},
	} {
		if p.value == "" {
			problems = append(problems, trat.Errorf(trat.ReasonParameterMissing, p.name, ""))
		}
	}
	scope, err := trat.ParseScope(r.Scope)
	if err != nil && r.Scope != "" {
		problems = append(problems, &trat.Error{Reason: trat.ReasonScopeMalformed, Field: "scope", Err: err})
	}
	return scope, errors.Join(problems...)
}

func (r Request) message(audience string) *tratv1.ExchangeRequest {
	m := &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           audience,
		Scope:              r.Scope,
		RequestedTokenType: trat.TokenType,
		SubjectToken:       r.SubjectToken,
		SubjectTokenType:   string(r.SubjectTokenType),
		RequestId:          r.RequestID,
		CallChain:          r.CallChain,
	}
	if !r.Context.IsZero() {
		m.RequestContext = r.Context.JSON()
	}
	if !r.Details.IsZero() {
		m.RequestDetails = r.Details.JSON()
	}
	return m
}

// Exchange asks the token service for a TraT and returns it verified: signed by a
// watched key, for this trust domain, requested by this very workload, and with no
// more scope than r asks for. When the token's key has not been heard yet, Exchange
// waits up to five seconds for it.
//
// An empty required field or a malformed scope is found before anything is sent
// (PARAMETER_MISSING, SCOPE_MALFORMED). A refusal has the Reason and the status of
// the token service: ISSUANCE_DENIED, SCOPE_EXCEEDED, SUBJECT_TOKEN_EXPIRED and so
// on; of a bad request there is a *trat.Error for each parameter that it blames, joined.
// A service that cannot be reached, or does not prove the pinned SPIFFE ID, is
// DEPENDENCY_UNAVAILABLE with code UNAVAILABLE; a missing or stale key set
// KEYS_UNAVAILABLE; an answer that is not what was asked for INTERNAL, wrapping
// what is wrong with it. There is no other way to a token.
//
// A call that ends with code UNAVAILABLE is sent again, at most twice, with the same
// request id: it is one transaction, however often it is sent. A subject token that is good
// for one use may have been used by then, so that the reason can be
// SUBJECT_TOKEN_REPLAYED. Everything else is final.
//
// The status is about this workload's call. A service that starts a transaction for
// a user decides itself what the user is told.
//
// Without a deadline in ctx an exchange ends after ten seconds. Outgoing metadata in
// ctx is not sent. The caller's span, if there is one in ctx, is marked with the new
// transaction.
func (c *Client) Exchange(ctx context.Context, r Request) (*trat.Token, error) {
	token, err := c.ask(ctx, r)
	if err != nil {
		return nil, err
	}
	markSpan(ctx, token)
	return token, nil
}

// ask is Exchange but for the span. Each of wants is another condition on the token.
func (c *Client) ask(ctx context.Context, r Request, wants ...func(*trat.Token) error) (*trat.Token, error) {
	scope, err := r.validate()
	if err != nil {
		return nil, localError(err)
	}
	if r.RequestID == "" {
		r.RequestID = rand.Text()
	}
	// What the application put into ctx for other calls is not for the token service.
	rpc := metadata.NewOutgoingContext(ctx, nil)
	answer, err := c.rpc.Exchange(rpc, r.message(c.cfg.TrustDomain.Name()))
	if err != nil {
		return nil, rpcError(err)
	}
	token, err := c.accept(ctx, answer, scope)
	for _, want := range wants {
		if err == nil {
			err = want(token)
		}
	}
	if err != nil {
		reason, _ := trat.ReasonOf(err)
		event(ctx, c.log, slog.LevelWarn, semconv.EventVerificationFailed, "the token service's answer was refused",
			slog.String(string(semconv.ErrorType), string(reason)), slog.String("error", err.Error()))
		return nil, err
	}
	return token, nil
}

// accept checks everything about an answer.
func (c *Client) accept(ctx context.Context, answer *tratv1.ExchangeResponse, asked trat.Scope) (*trat.Token, error) {
	switch {
	case answer.GetIssuedTokenType() != trat.TokenType:
		return nil, answerError("issued_token_type", errors.New("not a transaction token"))
	case answer.GetTokenType() != notAccessToken:
		return nil, answerError("token_type", errors.New("not N_A"))
	case answer.GetAccessToken() == "":
		return nil, answerError(issuedToken, errors.New("empty"))
	}
	token, err := c.verify(ctx, answer.GetAccessToken())
	if err != nil {
		return nil, err
	}
	own, err := c.cfg.SVIDs.GetX509SVID()
	if err != nil {
		return nil, localError(&trat.Error{Reason: trat.ReasonDependencyUnavailable, Err: err})
	}
	granted, err := trat.ParseScope(answer.GetScope())
	switch {
	case !asked.Covers(token.Scope()):
		return nil, answerError("scope", errors.New("more than was asked for"))
	case err != nil || !granted.Covers(token.Scope()) || !token.Scope().Covers(granted):
		return nil, answerError("scope", errors.New("not that of the token"))
	case token.RequestingWorkload() != own.ID.String():
		return nil, answerError("req_wl", errors.New("another workload"))
	}
	return token, nil
}

// verify verifies raw, and waits for its key where only that is missing.
func (c *Client) verify(ctx context.Context, raw string) (*trat.Token, error) {
	limit := time.NewTimer(c.keyWait)
	defer limit.Stop()
	for {
		next := c.keys.next()
		token, err := c.verifier.Verify(raw)
		if err == nil {
			return token, nil
		}
		if !errors.Is(err, errNoKey) && !errors.Is(err, trat.ReasonKeysUnavailable) {
			return nil, answerError(issuedToken, c.explainIssuer(err))
		}
		missing := &trat.Error{Reason: trat.ReasonKeysUnavailable, Err: c.watcher.explain(err)}
		select {
		case <-next:
		case <-limit.C:
			return nil, localError(missing)
		case <-ctx.Done():
			return nil, contextError(ctx, missing)
		case <-c.closed:
			return nil, localError(fmt.Errorf("%w: %w", missing, errClosed))
		}
	}
}

// explainIssuer adds to a refusal of the token's issuer what is configured, and what the
// token service calls itself if the watch has heard it: most often it is the configuration
// that is wrong.
func (c *Client) explainIssuer(err error) error {
	var e *trat.Error
	if !errors.As(err, &e) || e.Field != "iss" {
		return err
	}
	if other := c.watcher.otherIssuer(); other != nil {
		return fmt.Errorf("%w: the token service's is %q, configured is %q", err, other.received, other.configured)
	}
	return fmt.Errorf("%w: configured is %q", err, c.cfg.Issuer)
}
