package interceptors_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// renewed is what came of a renewal.
type renewed struct {
	ctx context.Context //nolint:containedctx // it is what is tested
	err error
}

// renewing handles a stream of which each message is a renewal, a token and a link with a
// space between them, or else nothing. It answers each.
func renewing(results chan<- renewed) func(grpc.ServerStream) error {
	return func(stream grpc.ServerStream) error {
		for {
			var req testpb.StreamingOutputCallRequest
			if err := stream.RecvMsg(&req); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			if token, link, ok := strings.Cut(string(req.GetPayload().GetBody()), " "); ok {
				ctx, err := interceptors.Reverify(stream.Context(), token, link)
				results <- renewed{ctx, err}
			}
			if err := stream.SendMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
				return err
			}
		}
	}
}

// renew sends a renewal and returns what came of it.
func renew(tb testing.TB, stream grpc.ClientStream, results <-chan renewed, token, link string) renewed {
	tb.Helper()
	err := stream.SendMsg(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte(token + " " + link)}})
	if err != nil {
		tb.Fatal(err)
	}
	return <-results
}

// answered waits for the answer to a renewal that was not refused.
func answered(tb testing.TB, stream grpc.ClientStream) {
	tb.Helper()
	if err := stream.RecvMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
		tb.Fatal(err)
	}
}

// renewal makes a token with opts and the link for it.
func (s *streamTest) renewal(opts ...trattest.TokenOption) (token, link string) {
	t := s.Token(append([]trattest.TokenOption{trattest.Lifetime(streamLifetime)}, opts...)...)
	return t.UnsafeRaw(), s.RawChain(t, []string{"gateway"}, "orders", bidiStreaming)
}

// Covers STR-02, STR-05.
func TestRenewalMovesTheEndOfAStream(t *testing.T) {
	for name, test := range map[string]struct {
		rule interceptors.Rule
		end  time.Duration // after the stream was opened
	}{
		"close at exp": {interceptors.Require().StreamCloseAtExp(), 100*time.Second + streamLifetime + 5*time.Second},
		"grace":        {interceptors.Require().StreamGrace(time.Minute), 100*time.Second + streamLifetime + 65*time.Second},
		"max age":      {interceptors.Require().StreamMaxAge(150 * time.Second), 150 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			results := make(chan renewed, 1)
			s := newStreamTest(t, test.rule, renewing(results))
			stream := s.open(t, callContext(t), bidiStreaming)
			roundTrip(t, stream)
			s.alarms.advance(100 * time.Second)
			token, link := s.renewal()
			if r := renew(t, stream, results, token, link); r.err != nil {
				t.Fatal(r.err)
			} else if end, _ := interceptors.StreamEnd(r.ctx); end.Sub(s.Now()) != test.end-100*time.Second {
				t.Errorf("the stream ends at %v, want %v", end, test.end)
			}
			answered(t, stream)
			s.alarms.advance(test.end - 101*time.Second)
			roundTrip(t, stream)
			s.alarms.advance(time.Second)
			wantEnded(t, "peer", result(stream))
		})
	}
}

// Covers STR-02.
func TestRenewalGivesTheHandlerAContextForCallsOnward(t *testing.T) {
	results := make(chan renewed, 1)
	opened := make(chan context.Context, 1)
	handle := renewing(results)
	s := newStreamTest(t, interceptors.Require(), func(stream grpc.ServerStream) error {
		opened <- stream.Context()
		return handle(stream)
	})
	stream := s.open(t, callContext(t), bidiStreaming, trattest.TransactionID("first"))
	before := <-opened
	token, link := s.renewal(trattest.TransactionID("second"))
	r := renew(t, stream, results, token, link)
	if r.err != nil {
		t.Fatal(r.err)
	}
	for want, ctx := range map[string]context.Context{"first": before, "second": r.ctx} {
		token, _ := trat.FromContext(ctx)
		chain, ok := callchain.FromContext(ctx)
		if token.TransactionID() != want || !ok || chain.Last().TokenHash() != token.Digest() {
			t.Errorf("transaction %q, chain %v; want %q and its chain", token.TransactionID(), chain, want)
		}
	}
	answered(t, stream)
	if err := errors.Join(stream.CloseSend(), result(stream)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Covers STR-02, STR-05.
func TestRenewalThatIsRefusedEndsTheStream(t *testing.T) {
	var s *streamTest
	good := func(opts ...trattest.TokenOption) func() (string, string) {
		return func() (string, string) { return s.renewal(opts...) }
	}
	for name, test := range map[string]struct {
		renewal func() (token, link string)
		want    trat.Reason
		field   string
	}{
		"another subject":  {good(trattest.Subject("user-2")), trat.ReasonPolicyDenied, "sub"},
		"more scope":       {good(trattest.Scope("test more other")), trat.ReasonPolicyDenied, "scope"},
		"too little scope": {good(trattest.Scope("more")), trat.ReasonInsufficientScope, "scope"},
		"expired": {func() (string, string) {
			_, link := s.renewal()
			return s.Broken(trattest.Expired), link
		}, trat.ReasonTxnTokenExpired, "exp"},
		"expired within the leeway": {good(trattest.Age(63*time.Second), trattest.Lifetime(time.Minute)), trat.ReasonTxnTokenExpired, "exp"},
		"no token":                  {func() (string, string) { _, link := s.renewal(); return "", link }, trat.ReasonTxnTokenMissing, ""},
		"no link":                   {func() (string, string) { token, _ := s.renewal(); return token, "" }, trat.ReasonChainMissing, ""},
		"a forged token": {func() (string, string) {
			_, link := s.renewal()
			return s.Broken(trattest.Forged), link
		}, trat.ReasonTxnTokenInvalid, "signature"},
		"of another trust domain": {func() (string, string) {
			_, link := s.renewal()
			return s.Broken(trattest.WrongAudience), link
		}, trat.ReasonTxnTokenAudience, "aud"},
		"the link of another token": {func() (string, string) {
			_, link := s.renewal()
			token, _ := s.renewal()
			return token, link
		}, trat.ReasonChainLinkInvalid, "tth"},
		"the link of another method": {func() (string, string) {
			token := s.Token(trattest.Lifetime(streamLifetime))
			return token.UnsafeRaw(), s.RawChain(token, []string{"gateway"}, "orders", clientStreaming)
		}, trat.ReasonChainLinkInvalid, "rpc"},
		"the link of another peer": {func() (string, string) {
			token := s.Token(trattest.Lifetime(streamLifetime), trattest.Requester(s.ID("billing").String()))
			return token.UnsafeRaw(), s.RawChain(token, []string{"billing"}, "orders", bidiStreaming)
		}, trat.ReasonChainPeerMismatch, "iss"},
	} {
		t.Run(name, func(t *testing.T) {
			results := make(chan renewed, 1)
			s = newStreamTest(t, interceptors.Require("test"), renewing(results))
			stream := s.open(t, callContext(t), bidiStreaming, trattest.Scope("test more"))
			token, link := test.renewal()
			r := renew(t, stream, results, token, link)
			if !errors.Is(r.err, test.want) {
				t.Fatalf("Reverify: %v, want %s", r.err, test.want)
			}
			var failure *trat.Error
			if errors.As(r.err, &failure); test.field != "" && failure.Field != test.field {
				t.Errorf("field %q, want %q", failure.Field, test.field)
			}
			if text := r.err.Error(); strings.Contains(text, "eyJ") || token != "" && strings.Contains(text, token) {
				t.Errorf("the error tells too much: %s", text)
			}
			wantRefusal(t, result(stream), test.want)
			if cause := context.Cause(r.ctx); !errors.Is(cause, test.want) {
				t.Errorf("the cause of the handler's context is %v", cause)
			}
		})
	}
}

// Covers STR-05.
func TestRenewalIsAcceptedOnce(t *testing.T) {
	results := make(chan renewed, 1)
	s := newStreamTest(t, interceptors.Require(), renewing(results))
	stream := s.open(t, callContext(t), bidiStreaming)
	token, link := s.renewal()
	if r := renew(t, stream, results, token, link); r.err != nil {
		t.Fatal(r.err)
	}
	if r := renew(t, stream, results, token, link); !errors.Is(r.err, trat.ReasonChainReplayed) {
		t.Errorf("the second time: %v", r.err)
	}
	wantRefusal(t, result(stream), trat.ReasonChainReplayed)
}

// With Once a transaction may open one stream, and renew it with its own tokens.
//
// Covers STR-05, RTY-03.
func TestRenewalWithinATransactionIsNoOtherRequest(t *testing.T) {
	results := make(chan renewed, 1)
	s := newStreamTest(t, interceptors.Require().Once(), renewing(results), interceptors.SingleReplica())
	txn := trattest.TransactionID("long")
	stream := s.open(t, callContext(t), bidiStreaming, txn)
	for range 3 {
		token, link := s.renewal(txn)
		if r := renew(t, stream, results, token, link); r.err != nil {
			t.Fatal(r.err)
		}
		answered(t, stream)
	}
	wantRefusal(t, result(s.open(t, callContext(t), bidiStreaming, txn)), trat.ReasonChainReplayed)
	token, link := s.renewal(trattest.TransactionID("next"))
	if r := renew(t, stream, results, token, link); r.err != nil {
		t.Fatal(r.err)
	}
	wantRefusal(t, result(s.open(t, callContext(t), bidiStreaming, trattest.TransactionID("next"))), trat.ReasonChainReplayed)
}

// Covers STR-05.
func TestRenewalByAReplacementIsOfTheStreamsTransaction(t *testing.T) {
	d := trattest.New(t, domainName)
	tokens := newTokenService(t, d)
	source, results := d.Source("orders"), make(chan renewed, 1)
	g, err := interceptors.NewServer(interceptors.ServerConfig{Verifier: tokens.verifier, SVIDs: source, Bundles: source},
		interceptors.Rules{wholeService: interceptors.Require(), unaryMethod: interceptors.Require()},
		interceptors.WithClock(d.Now), interceptors.WithLogger(quiet()))
	if err != nil {
		t.Fatal(err)
	}
	cc := connect(t, serveGuarded(t, d, g, &streamer{handle: renewing(results)}), d.ClientCredentials("gateway", d.Members()))
	replaced := func(txn string) (token, link string) {
		replacement := tokens.replace(t, d.Token(trattest.TransactionID(txn)), "gateway", [32]byte{})
		return replacement.UnsafeRaw(), d.RawChain(replacement, []string{"gateway"}, "orders", bidiStreaming)
	}
	token, link := replaced("one")
	ctx := metadata.AppendToOutgoingContext(callContext(t), "txn-token", token, "txn-chain", link)
	stream, err := testpb.NewTestServiceClient(cc).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	token, link = replaced("one")
	if r := renew(t, stream, results, token, link); r.err != nil {
		t.Fatal(r.err)
	}
	token, link = replaced("two")
	var failure *trat.Error
	if r := renew(t, stream, results, token, link); !errors.As(r.err, &failure) || failure.Field != "txn" {
		t.Errorf("the replacement of another transaction's token: %v", r.err)
	}
	wantRefusal(t, result(stream), trat.ReasonPolicyDenied)
}

// Covers STR-02.
func TestMessagesAfterARenewalAreCheckedAgainstTheNewToken(t *testing.T) {
	var mu sync.Mutex
	var checked []string
	results := make(chan renewed, 1)
	rule := interceptors.Require().CheckMessage(func(ctx context.Context, token *trat.Token, _ any) error {
		mu.Lock()
		defer mu.Unlock()
		if inContext, _ := trat.FromContext(ctx); inContext != token {
			t.Error("the context has another token")
		}
		checked = append(checked, token.TransactionID())
		return nil
	})
	d := trattest.New(t, domainName)
	s := &streamTest{Domain: d, alarms: newAlarms(d)}
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: rule}, s.alarms.option())
	s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: renewing(results)}))
	stream := s.open(t, callContext(t), bidiStreaming, trattest.TransactionID("first"))
	roundTrip(t, stream)
	token, link := s.renewal(trattest.TransactionID("second"))
	if r := renew(t, stream, results, token, link); r.err != nil {
		t.Fatal(r.err)
	}
	answered(t, stream)
	roundTrip(t, stream)
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(checked, " "); got != "first first second" {
		t.Errorf("messages were checked against %q", got)
	}
}

// Covers STR-02.
func TestReverifyIsForTheHandlersOfGuardedStreams(t *testing.T) {
	ctx := trattest.New(t, domainName).Context(t.Context())
	if got, err := interceptors.Reverify(ctx, "token", "link"); !errors.Is(err, trat.ReasonInternal) || got != ctx {
		t.Errorf("%v", err)
	}
}

// Covers STR-02.
func TestRenewalsAtOnceAreOneAfterTheOther(t *testing.T) {
	const renewals = 8
	var s *streamTest
	failures := make(chan error, renewals)
	s = newStreamTest(t, interceptors.Require(), func(stream grpc.ServerStream) error {
		var all sync.WaitGroup
		for range renewals {
			token, link := s.renewal()
			all.Go(func() {
				_, err := interceptors.Reverify(stream.Context(), token, link)
				failures <- err
			})
		}
		err := echo(stream)
		all.Wait()
		return err
	})
	stream := s.open(t, callContext(t), bidiStreaming)
	for range renewals {
		roundTrip(t, stream)
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	s.alarms.advance(streamLifetime + s.Verifier().Leeway())
	wantEnded(t, "peer", result(stream))
	if n := s.alarms.len(); n != 0 {
		t.Errorf("%d alarms are left", n)
	}
}
