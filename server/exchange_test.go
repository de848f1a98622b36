package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-11, TTS-23, TTS-25, TTS-26, TTS-27, TTS-28, TTS-29, TTS-33, TTS-35, PRIV-05.
func TestExchangeIssuesWhatPolicyGrants(t *testing.T) {
	f := newFixture(t)
	f.Clock.Advance(300 * time.Millisecond)
	client := f.dial(t, f.serve(t), gateway)
	response, err := client.Exchange(t.Context(), goodRequest())
	if err != nil {
		t.Fatal(err)
	}
	token := f.verify(t, response.GetAccessToken())
	got := token.Claims()
	now := f.Clock.Now().Truncate(time.Second)
	tctx, _ := trat.ParseObject(`{"order_id":9007199254740993}`)
	rctx, _ := trat.ParseObject(`{"channel":"web","ip":"192.0.2.1"}`)
	scope, _ := trat.ParseScope("order.create")
	want := trat.Claims{
		Issuer:             issuer,
		Subject:            "login:alice@example.test",
		Audience:           "shop.test",
		TransactionID:      got.TransactionID,
		Scope:              scope,
		RequestingWorkload: gateway.String(),
		IssuedAt:           now,
		Expiry:             now.Add(trat.DefaultLifetime),
		TransactionContext: tctx,
		RequestContext:     rctx,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b trat.Object) bool { return a == b }), cmp.Comparer(func(a, b trat.Scope) bool { return a == b })); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if len(got.TransactionID) != 22 {
		t.Errorf("txn %q does not have 128 bits", got.TransactionID)
	}
	response.AccessToken = ""
	wantResponse := &tratv1.ExchangeResponse{
		IssuedTokenType: "urn:ietf:params:oauth:token-type:txn_token",
		TokenType:       "N_A",
		ExpiresIn:       14, // a token of 15 s whose iat is 0.3 s ago
		Scope:           "order.create",
	}
	if response.String() != wantResponse.String() {
		t.Errorf("response %v, want %v", response, wantResponse)
	}
}

// Covers TTS-34.
func TestResponseCannotHoldARefreshToken(t *testing.T) {
	descriptor := (*tratv1.ExchangeResponse)(nil).ProtoReflect().Descriptor()
	if descriptor.Fields().ByName("refresh_token") != nil {
		t.Error("ExchangeResponse has a refresh_token")
	}
	if !descriptor.ReservedNames().Has(protoreflect.Name("refresh_token")) {
		t.Error("the name refresh_token is not reserved")
	}
}

func TestVerifierGetsTheAuthenticatedRequester(t *testing.T) {
	f := newFixture(t)
	ctx := f.as(t, gateway)
	if _, err := f.Server.Exchange(ctx, goodRequest()); err != nil {
		t.Fatal(err)
	}
	peer, _ := spiffecreds.PeerFromContext(ctx)
	in := f.Access.Inputs()[0]
	if in.Requester != gateway || in.RequesterLeaf != peer.Leaf || in.Token != subjectToken || in.Type != trat.TokenTypeAccessToken || !in.Now.Equal(f.Clock.Now()) {
		t.Errorf("input %v", in)
	}
}

// Covers TTS-10.
func TestCustomSubjectTokenIsForTheWorkloadsThatPolicyNames(t *testing.T) {
	const custom = "urn:x:vm"
	vm := &servertest.Verifier{URI: custom, Func: func(context.Context, subject.Input) (*subject.Principal, error) {
		return &subject.Principal{Issuer: "https://vm.test", Subject: "vm:7"}, nil
	}}
	registry, err := subject.NewRegistry(vm)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Parse([]byte(`
version: 1
rules:
  - name: vm
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:x:vm]
    grants: [stock.count]
`))
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(c *server.Config) {
		c.Subjects, c.Policy = registry, func() *policy.Policy { return rules }
	})
	request := goodRequest()
	request.SubjectTokenType, request.Scope = custom, "stock.count"
	response, err := f.Server.Exchange(f.as(t, gateway), request)
	if err != nil {
		t.Fatal(err)
	}
	if sub := f.verify(t, response.GetAccessToken()).Subject(); sub != "vm:7" {
		t.Errorf("sub %q", sub)
	}
	_, err = f.Server.Exchange(f.as(t, stranger), request)
	wantReason(t, err, trat.ReasonIssuanceDenied)
	if vm.Calls() != 1 {
		t.Errorf("the token of a workload that policy does not name was looked at")
	}
}

// Covers TTS-24.
func TestTwoEqualRequestsAreTwoTransactions(t *testing.T) {
	f := newFixture(t)
	ctx := f.as(t, gateway)
	seen := make(map[string]bool)
	request := goodRequest()
	request.RequestId = ""
	for range 50 {
		response, err := f.Server.Exchange(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		txn := f.verify(t, response.GetAccessToken()).TransactionID()
		if seen[txn] {
			t.Fatalf("txn %q twice", txn)
		}
		seen[txn] = true
	}
}

// Covers TTS-19, TTS-20, TTS-21.
func TestLifetimeEndsWithTheSubjectToken(t *testing.T) {
	tests := map[string]struct {
		left     time.Duration // of the subject token; 0: it never ends
		outlive  bool
		want     time.Duration
		outlives bool
		reason   trat.Reason
	}{
		"policy's lifetime":                 {left: time.Hour, want: 15 * time.Second},
		"the subject token ends earlier":    {left: 9*time.Second + 700*time.Millisecond, want: 9 * time.Second},
		"it has no end":                     {left: 0, want: 15 * time.Second},
		"less than a second is left":        {left: 999 * time.Millisecond, reason: trat.ReasonSubjectTokenExpired},
		"it ended within the issuer's skew": {left: -5 * time.Second, reason: trat.ReasonSubjectTokenExpired},
		"policy lets it be outlived":        {left: 20 * time.Second, outlive: true, want: 60 * time.Second, outlives: true},
		"outliving is not needed":           {left: time.Hour, outlive: true, want: 60 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
				p := servertest.Alice(in)
				p.Expiry = in.Now.Add(tc.left)
				if tc.left == 0 {
					p.Expiry = time.Time{}
				}
				return p, nil
			}
			id, request := gateway, goodRequest()
			if tc.outlive {
				id, request.Scope = longRunner, "report.run"
			}
			response, err := f.Server.Exchange(f.as(t, id), request)
			if tc.reason != "" {
				wantReason(t, err, tc.reason)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			claims := f.verify(t, response.GetAccessToken()).Claims()
			if got := claims.Expiry.Sub(claims.IssuedAt); got != tc.want {
				t.Errorf("lifetime %s, want %s", got, tc.want)
			}
			if response.GetExpiresIn() != int64(tc.want/time.Second) {
				t.Errorf("expires_in %d", response.GetExpiresIn())
			}
			if got := f.Records.Take()[0].OutlivesSubject; got != tc.outlives {
				t.Errorf("the audit record says outlives = %t", got)
			}
		})
	}
}

// A verifier may wait seconds for an issuer's keys: the token must not be born old, and
// not be made of a subject token that has expired meanwhile.
//
// Covers TTS-19, TTS-23.
func TestLifetimeBeginsWhenTheTokenIsIssued(t *testing.T) {
	const wait = 5 * time.Second
	f := newFixture(t)
	left := time.Hour
	f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
		f.Clock.Advance(wait)
		p := servertest.Alice(in)
		p.Expiry = in.Now.Add(left)
		return p, nil
	}
	ctx := f.as(t, gateway)
	response, err := f.Server.Exchange(ctx, goodRequest())
	if err != nil {
		t.Fatal(err)
	}
	claims := f.verify(t, response.GetAccessToken()).Claims()
	if !claims.IssuedAt.Equal(f.Clock.Now()) || claims.Expiry.Sub(claims.IssuedAt) != 15*time.Second || response.GetExpiresIn() != 15 {
		t.Errorf("issued at %s (now %s) until %s, expires_in %d", claims.IssuedAt, f.Clock.Now(), claims.Expiry, response.GetExpiresIn())
	}
	left = wait
	another := goodRequest()
	another.RequestId = "req-2"
	_, err = f.Server.Exchange(ctx, another)
	wantReason(t, err, trat.ReasonSubjectTokenExpired)
}

// Covers TTS-40.
func TestLargeTokenIsReportedBeforeItIsTooLarge(t *testing.T) {
	f := newFixture(t)
	request := goodRequest()
	request.RequestDetails = `{"order_id": 1, "note": "` + strings.Repeat("x", 2200) + `"}`
	if _, err := f.Server.Exchange(f.as(t, gateway), request); err != nil {
		t.Fatal(err)
	}
	if !contains(f.Logs.String(), "issued token is near the size limit") {
		t.Error("no warning in the log")
	}
	if contains(f.Logs.String(), "exchange refused") {
		t.Error("an issued token was reported as refused")
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := server.New(server.Config{Issuer: "http://tts.shop.test", MaxWatchers: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"trustDomain", "issuer", "Keys", "Policy", "Subjects", "Bundles", "Auditor", "Logger", "MaxWatchers"} {
		if !contains(err.Error(), name) {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
}
