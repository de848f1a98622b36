package server_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// exchange must be granted.
func (f *fixture) exchange(t testing.TB, ctx context.Context, request *tratv1.ExchangeRequest) *tratv1.ExchangeResponse {
	t.Helper()
	response, err := f.Server.Exchange(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// Covers TTS-43, RTY-07.
func TestRepeatedRequestHasTheSameAnswer(t *testing.T) {
	f := newFixture(t)
	first := f.exchange(t, f.as(t, gateway), goodRequest())
	f.Clock.Advance(server.IdempotencyWindow - 1)
	again := f.exchange(t, f.as(t, gateway), goodRequest()) // over another connection
	if again.GetAccessToken() != first.GetAccessToken() || again.GetScope() != first.GetScope() {
		t.Error("another token")
	}
	if again.GetExpiresIn() != 10 {
		t.Errorf("expires_in %d, want what is left", again.GetExpiresIn())
	}
	if f.Access.Calls() != 1 {
		t.Errorf("the subject token was verified %d times", f.Access.Calls())
	}
	list := f.Records.Take()
	if len(list) != 2 || list[0].Repeated || list[1].DecisionID == list[0].DecisionID || !list[1].Time.Equal(f.Clock.Now()) {
		t.Fatalf("records %+v", list)
	}
	want := list[0]
	want.DecisionID, want.Time, want.Repeated = list[1].DecisionID, list[1].Time, true
	if diff := cmp.Diff(want, list[1]); diff != "" {
		t.Errorf("record of the repetition (-want +got):\n%s", diff)
	}
	f.Clock.Advance(1)
	if late := f.exchange(t, f.as(t, gateway), goodRequest()); late.GetAccessToken() == first.GetAccessToken() {
		t.Error("the answer is given after its window")
	}
}

// Covers TTS-43.
func TestAnswerIsForWhoAskedAndForWhatWasAsked(t *testing.T) {
	f := newFixture(t)
	ctx := f.as(t, gateway)
	first := f.exchange(t, ctx, goodRequest())
	txn := f.verify(t, first.GetAccessToken()).TransactionID()

	t.Run("another requester", func(t *testing.T) {
		request := goodRequest()
		request.Scope = "report.run"
		other := f.exchange(t, f.as(t, longRunner), request)
		if token := f.verify(t, other.GetAccessToken()); token.TransactionID() == txn || token.RequestingWorkload() != longRunner.String() {
			t.Error("the answer of another requester")
		}
	})
	for name, change := range map[string]func(*tratv1.ExchangeRequest){
		"scope":           func(r *tratv1.ExchangeRequest) { r.Scope = "order.read" },
		"subject_token":   func(r *tratv1.ExchangeRequest) { r.SubjectToken += "x" },
		"request_context": func(r *tratv1.ExchangeRequest) { r.RequestContext = "" },
		"request_details": func(r *tratv1.ExchangeRequest) { r.RequestDetails = `{"order_id": 1}` },
		"two of them": func(r *tratv1.ExchangeRequest) {
			r.RequestContext, r.RequestDetails = r.GetRequestDetails(), r.GetRequestContext()
		},
	} {
		t.Run("another "+name, func(t *testing.T) {
			request := goodRequest()
			change(request)
			_, err := f.Server.Exchange(ctx, request)
			wantReason(t, err, trat.ReasonParameterInvalid)
			if diff := cmp.Diff(map[string]string{"request_id": "PARAMETER_INVALID"}, violatedFields(err)); diff != "" {
				t.Errorf("field violations (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("another id", func(t *testing.T) {
		request := goodRequest()
		request.RequestId = "req-2"
		if f.verify(t, f.exchange(t, ctx, request).GetAccessToken()).TransactionID() == txn {
			t.Error("the answer of another request")
		}
	})
}

// Covers TTS-43.
func TestAnswerIsNotForAnExpiredCertificate(t *testing.T) {
	t.Run("before it asks", func(t *testing.T) {
		f := newFixture(t)
		ctx := f.as(t, gateway)
		f.Clock.Advance(devauthority.DefaultSVIDLifetime - time.Second)
		f.exchange(t, ctx, goodRequest())
		f.Clock.Advance(2 * time.Second)
		_, err := f.Server.Exchange(ctx, goodRequest())
		wantReason(t, err, trat.ReasonPeerSVIDExpired)
	})
	t.Run("while it waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t)
			ctx := f.as(t, gateway)
			f.Clock.Advance(devauthority.DefaultSVIDLifetime - time.Second)
			h := f.hold()
			errs := make([]error, 5)
			for i := range errs {
				go func() { _, errs[i] = f.Server.Exchange(ctx, goodRequest()) }()
			}
			synctest.Wait()
			f.Clock.Advance(2 * time.Second)
			close(h.release)
			synctest.Wait()
			expired := 0
			for _, err := range errs {
				if err != nil {
					wantReason(t, err, trat.ReasonPeerSVIDExpired)
					expired++
				}
			}
			if expired != len(errs)-1 || f.Access.Calls() != 1 {
				t.Errorf("%d calls were refused, want all but the first", expired)
			}
		})
	})
}

// Covers TTS-43.
func TestTokenThatHasEndedIsNotGivenAgain(t *testing.T) {
	f := newFixture(t)
	f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
		p := servertest.Alice(in)
		p.Expiry = in.Now.Add(2 * time.Second)
		return p, nil
	}
	ctx := f.as(t, gateway)
	first := f.exchange(t, ctx, goodRequest())
	f.Clock.Advance(time.Second + 1) // less than a second is left
	if again := f.exchange(t, ctx, goodRequest()); again.GetAccessToken() == first.GetAccessToken() {
		t.Error("a token that ends is given again")
	}
}

// Covers TTS-43.
func TestRefusalIsNotRemembered(t *testing.T) {
	f := newFixture(t)
	ctx := f.as(t, gateway)
	f.Access.Func = func(context.Context, subject.Input) (*subject.Principal, error) {
		return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "")
	}
	_, err := f.Server.Exchange(ctx, goodRequest())
	wantReason(t, err, trat.ReasonDependencyUnavailable)
	f.Access.Func = nil
	f.exchange(t, ctx, goodRequest())
	other := goodRequest()
	other.RequestId, other.Scope = "req-2", "order.delete"
	_, err = f.Server.Exchange(ctx, other)
	wantReason(t, err, trat.ReasonScopeExceeded)
	other.Scope = "order.read"
	f.exchange(t, ctx, other) // an id that was refused is free again
}

// Covers TTS-19, TTS-43.
func TestSubjectTokenThatExpiresWhileItsRequestWaitsIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		end := f.Clock.Now().Add(30 * time.Second)
		release, calls := make(chan struct{}), 0
		f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
			if calls++; calls == 1 { // the first, which is refused, so that the other takes its place
				<-release
				return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "")
			}
			if !end.After(in.Now) {
				return nil, trat.Errorf(trat.ReasonSubjectTokenExpired, "exp", "")
			}
			p := servertest.Alice(in)
			p.Expiry = end
			return p, nil
		}
		ctx := f.as(t, longRunner) // whose tokens may outlive the subject token
		request := goodRequest()
		request.Scope = "report.run"
		var errs [2]error
		for i := range errs {
			go func() { _, errs[i] = f.Server.Exchange(ctx, request) }()
			synctest.Wait()
		}
		f.Clock.Advance(time.Minute)
		close(release)
		synctest.Wait()
		wantReason(t, errs[0], trat.ReasonDependencyUnavailable)
		wantReason(t, errs[1], trat.ReasonSubjectTokenExpired)
	})
}

// held is a verification that waits until it is let go.
type held struct{ started, release chan struct{} }

func (f *fixture) hold() *held {
	h := &held{started: make(chan struct{}, 100), release: make(chan struct{})}
	f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
		h.started <- struct{}{}
		<-h.release
		return servertest.Alice(in), nil
	}
	return h
}

// Covers TTS-43.
func TestConcurrentDuplicatesWaitForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ctx := f.as(t, gateway)
		h := f.hold()
		tokens := make([]string, 20)
		for i := range tokens {
			go func() {
				response, err := f.Server.Exchange(ctx, goodRequest())
				if err != nil {
					t.Error(err)
				}
				tokens[i] = response.GetAccessToken()
			}()
		}
		synctest.Wait() // one verifies, the others wait for it
		close(h.release)
		synctest.Wait()
		if all := slices.Compact(slices.Clone(tokens)); len(all) != 1 || all[0] == "" {
			t.Errorf("%d different tokens", len(all))
		}
		repeated := 0
		for _, r := range f.Records.Take() {
			if r.Repeated {
				repeated++
			}
		}
		if f.Access.Calls() != 1 || repeated != len(tokens)-1 {
			t.Errorf("%d verifications, %d repetitions", f.Access.Calls(), repeated)
		}
	})
}

// Covers TTS-43.
func TestWaitingEndsWithItsOwnCall(t *testing.T) {
	f := newFixture(t)
	base := f.as(t, gateway)
	h := f.hold()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := f.Server.Exchange(base, goodRequest()); err != nil {
			t.Error(err)
		}
	})
	<-h.started
	ctx, cancel := context.WithCancel(base)
	cancel()
	if _, err := f.Server.Exchange(ctx, goodRequest()); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	close(h.release)
	wg.Wait()
}

// Whatever becomes of the first, those that wait for it go on by themselves.
//
// Covers TTS-43.
func TestDuplicatesOutliveTheFirst(t *testing.T) {
	for name, end := range map[string]func(cancel func()) error{
		"refused":  func(func()) error { return trat.Errorf(trat.ReasonDependencyUnavailable, "", "") },
		"panicked": func(func()) error { panic("first") },
		"gone":     func(cancel func()) error { cancel(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			base := f.as(t, gateway)
			ctx, cancel := context.WithCancel(base)
			defer cancel()
			started, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			f.Access.Func = func(_ context.Context, in subject.Input) (_ *subject.Principal, err error) {
				once.Do(func() {
					close(started)
					<-release
					err = end(cancel)
				})
				return servertest.Alice(in), err
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := f.Server.Exchange(ctx, goodRequest()); err == nil {
					t.Error("the first has an answer")
				}
			})
			<-started
			for range 3 {
				wg.Go(func() {
					if _, err := f.Server.Exchange(base, goodRequest()); err != nil {
						t.Error(err)
					}
				})
			}
			close(release)
			wg.Wait()
			if f.Access.Calls() != 2 {
				t.Errorf("%d verifications, want those of the first and of one more", f.Access.Calls())
			}
		})
	}
}

func TestRepetitionIsCountedAsSuch(t *testing.T) {
	f := newFixture(t)
	ctx := f.as(t, gateway)
	f.exchange(t, ctx, goodRequest())
	f.exchange(t, ctx, goodRequest())
	if got := f.counts(t, "txn_token.issuances"); got[`{"txn_token.repeated":"true","txn_token.result":"ok","txn_token.subject_token_type":"urn:ietf:params:oauth:token-type:access_token"}`] != 1 {
		t.Errorf("txn_token.issuances %v", got)
	}
	if n := f.values(t, "txn_token.lifetime"); n != 1 {
		t.Errorf("%d lifetimes for one token", n)
	}
}
