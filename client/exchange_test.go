package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func object(t *testing.T, text string) trat.Object {
	t.Helper()
	o, err := trat.ParseObject(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Covers SEC-01, PROP-05.
func TestExchangeSendsTheWholeRequestAndVerifiesTheAnswer(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	var sent *tratv1.ExchangeRequest
	var received metadata.MD
	f.answer(func(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		sent = r
		received, _ = metadata.FromIncomingContext(ctx)
		peer, ok := spiffecreds.PeerFromContext(ctx)
		if !ok || peer.ID != f.domain.ID("gateway") {
			return nil, status.Error(codes.Unauthenticated, "not the gateway")
		}
		return f.issue(ctx, r)
	})

	ctx := metadata.AppendToOutgoingContext(timeout(t), "txn-token", "a.b.c", "authorization", "Bearer x")
	token, err := c.Exchange(ctx, client.Request{
		SubjectToken:     secret,
		SubjectTokenType: client.AccessToken,
		Scope:            "order.create order.read",
		Context:          object(t, `{"ip":"192.0.2.7"}`),
		Details:          object(t, `{"quantity":9007199254740993}`),
		RequestID:        "request-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if token.Subject() != "request-1" || token.RequestingWorkload() != "spiffe://shop.test/gateway" {
		t.Errorf("sub = %q, req_wl = %q", token.Subject(), token.RequestingWorkload())
	}
	if _, ok := trat.FromContext(trat.NewContext(t.Context(), token)); !ok {
		t.Error("the token does not count as verified")
	}
	want := &tratv1.ExchangeRequest{
		GrantType:          "urn:ietf:params:oauth:grant-type:token-exchange",
		Audience:           "shop.test",
		Scope:              "order.create order.read",
		RequestedTokenType: "urn:ietf:params:oauth:token-type:txn_token",
		SubjectToken:       secret,
		SubjectTokenType:   "urn:ietf:params:oauth:token-type:access_token",
		RequestContext:     `{"ip":"192.0.2.7"}`,
		RequestDetails:     `{"quantity":9007199254740993}`,
		RequestId:          "request-1",
	}
	if diff := cmp.Diff(want, sent, protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	for _, key := range []string{"txn-token", "authorization"} {
		if values := received.Get(key); len(values) > 0 {
			t.Errorf("the application's %s metadata reached the token service", key)
		}
	}
}

func TestExchangeLeavesAbsentObjectsOut(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	f.answer(func(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		if r.GetRequestContext() != "" || r.GetRequestDetails() != "" {
			return nil, status.Error(codes.InvalidArgument, "objects")
		}
		return f.issue(ctx, r)
	})
	if _, err := c.Exchange(timeout(t), request()); err != nil {
		t.Error(err)
	}
}

func TestExchangeRefusesIncompleteRequestsBeforeSending(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	for name, test := range map[string]struct {
		request client.Request
		want    []string
	}{
		"nothing": {client.Request{}, []string{
			"PARAMETER_MISSING subject_token", "PARAMETER_MISSING subject_token_type", "PARAMETER_MISSING scope",
		}},
		"no subject token": {
			client.Request{SubjectTokenType: client.IDToken, Scope: "a"}, []string{"PARAMETER_MISSING subject_token"},
		},
		"malformed scope": {
			client.Request{SubjectToken: secret, SubjectTokenType: client.IDToken, Scope: "a  b"}, []string{"SCOPE_MALFORMED scope"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := f.rpcs.Load()
			_, err := c.Exchange(timeout(t), test.request)
			if diff := cmp.Diff(test.want, problems(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if got := status.Code(err); got != codes.InvalidArgument {
				t.Errorf("code = %s, want %s", got, codes.InvalidArgument)
			}
			if f.rpcs.Load() != before {
				t.Error("the request was sent")
			}
		})
	}
}

func TestExchangeKeepsStatusAndReasonOfTheService(t *testing.T) {
	denied, err := status.New(codes.PermissionDenied, "the requester may not have this token").WithDetails(
		&errdetails.ErrorInfo{Reason: "ISSUANCE_DENIED", Domain: "trat.v1"})
	if err != nil {
		t.Fatal(err)
	}
	invalid, err := status.New(codes.InvalidArgument, "a parameter is not valid").WithDetails(
		&errdetails.ErrorInfo{Reason: "PARAMETER_INVALID", Domain: "trat.v1"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "not_a_parameter"}, {Field: "request_id"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := status.New(codes.PermissionDenied, "no").WithDetails(
		&errdetails.ErrorInfo{Reason: "ISSUANCE_DENIED", Domain: "other"})
	if err != nil {
		t.Fatal(err)
	}

	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	for name, test := range map[string]struct {
		status *status.Status
		reason trat.Reason
		field  string
	}{
		"refusal with a reason":         {denied, trat.ReasonIssuanceDenied, ""},
		"refusal that names a field":    {invalid, trat.ReasonParameterInvalid, "request_id"},
		"reason of another domain":      {foreign, trat.ReasonInternal, ""},
		"unavailable without a reason":  {status.New(codes.Unavailable, "shutting down"), trat.ReasonDependencyUnavailable, ""},
		"unknown method":                {status.New(codes.Unimplemented, "no such method"), trat.ReasonInternal, ""},
		"deadline passed at the server": {status.New(codes.DeadlineExceeded, "late"), trat.ReasonDependencyUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
				return nil, test.status.Err()
			})
			token, err := c.Exchange(timeout(t), request())
			if token != nil || err == nil {
				t.Fatalf("Exchange = %v, %v", token, err)
			}
			got, ok := status.FromError(err)
			if !ok {
				t.Fatal("the error has no status")
			}
			if diff := cmp.Diff(test.status.Proto(), got.Proto(), protocmp.Transform()); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if reason, _ := trat.ReasonOf(err); reason != test.reason || !errors.Is(err, test.reason) {
				t.Errorf("reason = %s, want %s", reason, test.reason)
			}
			var e *trat.Error
			if !errors.As(err, &e) || e.Field != test.field {
				t.Errorf("field = %q, want %q", e.Field, test.field)
			}
		})
	}
}

// Covers TTS-33.
func TestExchangeRefusesAnswersThatWereNotAskedFor(t *testing.T) {
	d := trattest.New(t, "shop.test")
	other := trattest.New(t, "other.test")
	f := startTTS(t, d)
	c, log := f.ready(t, client.WithKeyWait(50*time.Millisecond))

	good := func() *tratv1.ExchangeResponse {
		return respond(d.Raw(trattest.Scope("order.create")), "order.create")
	}
	for name, test := range map[string]struct {
		change func(*tratv1.ExchangeResponse)
		field  string
		is     trat.Reason
	}{
		"empty":             {func(r *tratv1.ExchangeResponse) { proto.Reset(r) }, "issued_token_type", ""},
		"another type":      {func(r *tratv1.ExchangeResponse) { r.IssuedTokenType = string(client.AccessToken) }, "issued_token_type", ""},
		"bearer token":      {func(r *tratv1.ExchangeResponse) { r.TokenType = "Bearer" }, "token_type", ""},
		"lower case n_a":    {func(r *tratv1.ExchangeResponse) { r.TokenType = "n_a" }, "token_type", ""},
		"no token":          {func(r *tratv1.ExchangeResponse) { r.AccessToken = "" }, "issued token", ""},
		"the subject token": {func(r *tratv1.ExchangeResponse) { r.AccessToken = secret }, "issued token", trat.ReasonTxnTokenMalformed},
		"forged":            {func(r *tratv1.ExchangeResponse) { r.AccessToken = d.Broken(trattest.Forged) }, "issued token", trat.ReasonTxnTokenInvalid},
		"expired":           {func(r *tratv1.ExchangeResponse) { r.AccessToken = d.Broken(trattest.Expired) }, "issued token", trat.ReasonTxnTokenExpired},
		"another issuer":    {func(r *tratv1.ExchangeResponse) { r.AccessToken = d.Broken(trattest.WrongIssuer) }, "issued token", trat.ReasonTxnTokenInvalid},
		"another audience":  {func(r *tratv1.ExchangeResponse) { r.AccessToken = other.Raw() }, "issued token", trat.ReasonTxnTokenAudience},
		"more scope": {func(r *tratv1.ExchangeResponse) {
			r.AccessToken, r.Scope = d.Raw(trattest.Scope("order.create admin")), "order.create admin"
		}, "scope", ""},
		"scope unlike the token's": {func(r *tratv1.ExchangeResponse) { r.Scope = "order.read" }, "scope", ""},
		"no scope":                 {func(r *tratv1.ExchangeResponse) { r.Scope = "" }, "scope", ""},
		"another requester": {func(r *tratv1.ExchangeResponse) {
			r.AccessToken = d.Raw(trattest.Scope("order.create"), trattest.Requester("spiffe://shop.test/orders"))
		}, "req_wl", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
				r := good()
				test.change(r)
				return r, nil
			})
			token, err := c.Exchange(timeout(t), request())
			if token != nil {
				t.Fatal("Exchange returned a token")
			}
			var e *trat.Error
			if !errors.As(err, &e) || e.Reason != trat.ReasonInternal || e.Field != test.field {
				t.Errorf("error = %v, want INTERNAL: %s", err, test.field)
			}
			if test.is != "" && !errors.Is(err, test.is) {
				t.Errorf("error = %v, want one that wraps %s", err, test.is)
			}
			if got := status.Code(err); got != codes.Internal {
				t.Errorf("code = %s, want %s", got, codes.Internal)
			}
		})
	}
	if log.lines("txn_token.verification.failed", "level=WARN") == 0 {
		t.Errorf("refused answers are not in the log:\n%s", log)
	}
}

func TestExchangeAcceptsLessScopeThanAskedFor(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		return respond(f.domain.Raw(trattest.Scope("a c")), "c a"), nil
	})
	r := request()
	r.Scope = "a b c"
	token, err := c.Exchange(timeout(t), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := token.Scope().String(); got != "a c" {
		t.Errorf("scope = %q", got)
	}
}

// Covers KEY-01.
func TestExchangeWaitsForKeyThatWasPublishedJustNow(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	f.answer(func(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		f.domain.RotateKeys()
		defer f.publish(f.keys(2))
		return f.issue(ctx, r)
	})
	if _, err := c.Exchange(timeout(t), request()); err != nil {
		t.Error(err)
	}
}

// Covers SEC-13.
func TestExchangeGivesUpOnKeyThatNeverComes(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t, client.WithKeyWait(20*time.Millisecond))
	f.domain.RotateKeys()
	_, err := c.Exchange(timeout(t), request())
	if reason, _ := trat.ReasonOf(err); reason != trat.ReasonKeysUnavailable || status.Code(err) != codes.Unavailable {
		t.Errorf("error = %v", err)
	}
}

func TestExchangeEndsWithItsContext(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)

	f.domain.RotateKeys() // the answer waits for its key
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := c.Exchange(ctx, request())
	if !errors.Is(err, context.DeadlineExceeded) || status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("waiting for the key: error = %v", err)
	}

	blocked := make(chan struct{})
	defer close(blocked)
	f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		<-blocked
		return nil, status.Error(codes.Internal, "too late")
	})
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Exchange(ctx, request())
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, trat.ReasonDependencyUnavailable) ||
		status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("waiting for the answer: error = %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = c.Exchange(ctx, request())
	if !errors.Is(err, context.Canceled) || status.Code(err) != codes.Canceled {
		t.Errorf("canceled before: error = %v", err)
	}
}

func TestExchangeHasADeadlineOfItsOwn(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	f.answer(func(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		deadline, ok := ctx.Deadline()
		if d := time.Until(deadline); !ok || d > 10*time.Second {
			t.Errorf("deadline in %s, %v", d, ok)
		}
		return f.issue(ctx, r)
	})
	if _, err := c.Exchange(context.Background(), request()); err != nil { //nolint:usetesting // no deadline is the point
		t.Error(err)
	}
}

func TestExchangeFailsAfterClose(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if token, err := c.Exchange(timeout(t), request()); err == nil {
		t.Errorf("Exchange = %v", token)
	}
}

func TestCloseEndsExchangeThatWaitsForAKey(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	f.domain.RotateKeys()
	answered := make(chan struct{})
	f.answer(func(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		defer close(answered)
		return f.issue(ctx, r)
	})
	failed := make(chan error, 1)
	go func() {
		_, err := c.Exchange(timeout(t), request())
		failed <- err
	}()
	<-answered
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("Exchange returned a token")
	}
}

// Covers PROP-06.
func TestConcurrentExchangesDoNotMix(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	ctx := timeout(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range 5 {
				r := request()
				r.RequestID = fmt.Sprintf("request-%d-%d", i, j)
				token, err := c.Exchange(ctx, r)
				if err != nil {
					t.Error(err)
					return
				}
				if token.Subject() != r.RequestID {
					t.Errorf("%s got the token of %s", r.RequestID, token.Subject())
				}
			}
		})
	}
	wg.Wait()
}

func TestRequestPrintsNoSecrets(t *testing.T) {
	r := request()
	r.Details = object(t, `{"card":"eyJjYXJkIn0"}`)
	r.RequestID = "request-1"
	log := newTestLog(t) // fails the test itself when it holds a token
	slog.New(log.handler()).Info("asking", "request", r, "pointer", &r)
	asJSON, err := json.Marshal(struct{ Request client.Request }{r}) // as a JSON log has nested values
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(r), fmt.Sprintf("%v %+v %#v %s %q", r, r, r, r, &r), log.String(), string(asJSON),
	} {
		if strings.Contains(text, "eyJ") || !strings.Contains(text, "request-1") {
			t.Errorf("printed: %s", text)
		}
	}
}
