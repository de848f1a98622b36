package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// wantCode is the code that goes with a reason, of an exchange or of WatchKeys.
func wantCode(reason trat.Reason) codes.Code {
	if reason == trat.ReasonPeerDenied {
		return codes.PermissionDenied
	}
	return servertest.Answers[reason].Code
}

// wantReason fails unless err is the refusal for this reason, with the code that goes with
// it.
func wantReason(t *testing.T, err error, want trat.Reason) {
	t.Helper()
	if got, _ := grpcerr.ReasonFrom(err); got != want {
		t.Fatalf("got %v (reason %q), want %s", err, got, want)
	}
	if code, wanted := status.Code(err), wantCode(want); code != wanted {
		t.Errorf("code %s, want %s", code, wanted)
	}
}

// violatedFields returns field and reason of each violation.
func violatedFields(err error) map[string]string {
	fields := make(map[string]string)
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields[v.GetField()] = v.GetReason()
			}
		}
	}
	return fields
}

// Covers TTS-03, TTS-04, TTS-05, TTS-06, TTS-07, TTS-08, TTS-09, TTS-11, TTS-17, TTS-30, TTS-31, TTS-32, TTS-38, TTS-40, TTS-42.
// Covers ERR-01, ERR-02, ERR-04, ERR-05, ERR-06, ERR-07, ERR-08, ERR-09, ERR-10, ERR-14, PRIV-01, PRIV-07, SEC-12.
func TestEveryBadRequestIsRefusedForItsReason(t *testing.T) {
	for name, tc := range servertest.Refusals() {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			exchange := f.exchanger(t, tc)
			response, err := exchange(tc.Request(t, f.World))
			if response.GetAccessToken() != "" {
				t.Error("a token was issued")
			}
			wantReason(t, err, tc.Reason)
			want := tc.Fields
			if want == nil {
				want = map[string]string{}
			}
			if diff := cmp.Diff(want, violatedFields(err)); diff != "" {
				t.Errorf("field violations (-want +got):\n%s", diff)
			}
			if retry := servertest.Answers[tc.Reason].Retry; hasRetry(err) != retry {
				t.Errorf("RetryInfo present = %t", !retry)
			}
			checkRefusalRecord(t, f, tc.Caller(), tc.Reason)
			for sink, text := range map[string]string{"status": status.Convert(err).Proto().String(), "log": f.Logs.String()} {
				if contains(text, "eyJ") || contains(text, "alice@") {
					t.Errorf("a token or subject is in the %s:\n%s", sink, text)
				}
			}
			if contains(status.Convert(err).Proto().String(), "secret") {
				t.Errorf("the cause is in the status: %v", err)
			}
		})
	}
}

// exchanger connects the caller of tc, before anything is done to the World.
func (f *fixture) exchanger(t *testing.T, tc servertest.Refusal) func(*tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	t.Helper()
	if tc.Nobody {
		return func(r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
			return f.Server.Exchange(t.Context(), r)
		}
	}
	client := f.dial(t, f.serve(t), tc.Caller())
	if _, err := client.Exchange(t.Context(), &tratv1.ExchangeRequest{}); status.Code(err) == codes.Unavailable {
		t.Fatal(err)
	}
	return func(r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		return client.Exchange(t.Context(), r)
	}
}

func hasRetry(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if _, ok := d.(*errdetails.RetryInfo); ok {
			return true
		}
	}
	return false
}

func checkRefusalRecord(t *testing.T, f *fixture, id spiffeid.ID, reason trat.Reason) {
	t.Helper()
	list := f.Records.Take()
	if len(list) != 1 {
		t.Fatalf("%d audit records, want 1", len(list))
	}
	r, requester := list[0], ""
	if !id.IsZero() {
		requester = id.String()
	}
	if r.Issued() || r.Reason != reason || r.Requester != requester || r.Fingerprint != "" || r.TransactionID != "" {
		t.Errorf("audit record %+v", r)
	}
}

// Covers TTS-17.
func TestSubjectTokenIsNotLookedAtBeforePolicyAdmits(t *testing.T) {
	f := newFixture(t)
	_, err := f.Server.Exchange(f.as(t, stranger), goodRequest())
	wantReason(t, err, trat.ReasonIssuanceDenied)
	if f.Access.Calls() != 0 {
		t.Error("the subject token was verified for a workload that may not present it")
	}
}

// Covers ERR-03, SEC-03, VER-14, TTS-26.
func TestCallerWithoutPeerIdentityIsUnauthenticated(t *testing.T) {
	secret := metadata.Pairs("authorization", "Basic Z2F0ZXdheTpzZWNyZXQ=", "x-spiffe-id", gateway.String())
	for name, ctx := range map[string]context.Context{
		"no connection":               t.Context(),
		"a secret, a claimed ID":      metadata.NewIncomingContext(t.Context(), secret),
		"TLS by somebody else's rule": peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{SPIFFEID: gateway.URL()}}),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			_, err := f.Server.Exchange(ctx, goodRequest())
			wantReason(t, err, trat.ReasonClientUnauthenticated)
			if f.Access.Calls() != 0 {
				t.Error("the subject token was verified")
			}
			if r := f.Records.Take(); len(r) != 1 || r[0].Requester != "" || r[0].Reason != trat.ReasonClientUnauthenticated {
				t.Errorf("audit records %+v", r)
			}
		})
	}
}

// Covers SEC-08.
func TestCallerOfAnotherTrustDomainIsDenied(t *testing.T) {
	f := newFixture(t)
	foreign, err := devauthority.New(spiffeid.RequireTrustDomainFromString("other.test"), devauthority.WithClock(f.Clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = foreign.Close() })
	if err := errors.Join(f.Authority.Federate(foreign.Bundle()), foreign.Federate(f.Authority.Bundle())); err != nil {
		t.Fatal(err)
	}
	ctx := servertest.PeerContext(t, f.Authority, foreign, spiffeid.RequireFromString("spiffe://other.test/gateway"), f.Clock)
	_, err = f.Server.Exchange(ctx, goodRequest())
	wantReason(t, err, trat.ReasonIssuanceDenied)
}

// Covers SEC-08.
func TestCallerWhoseIDLooksLikeAnotherIsDenied(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/gateway-evil", "/gateway/evil", "/Gateway", "/evil/gateway", "/gatewa"} {
		_, err := f.Server.Exchange(f.as(t, spiffeid.RequireFromPath(trustDomain, path)), goodRequest())
		wantReason(t, err, trat.ReasonIssuanceDenied)
	}
	if f.Access.Calls() != 0 {
		t.Error("a subject token was verified")
	}
}

// Covers ERR-14.
func TestNothingIsIssuedBeforeTheKeyIsActive(t *testing.T) {
	f := newFixture(t)
	f.Clock.Advance(-time.Millisecond)
	_, err := f.Server.Exchange(f.as(t, gateway), goodRequest())
	wantReason(t, err, trat.ReasonKeysUnavailable)
	if !hasRetry(err) {
		t.Error("no RetryInfo")
	}
}

func TestCallerThatHasGoneGetsNoToken(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(f.as(t, gateway))
	f.Access.Func = func(_ context.Context, in subject.Input) (*subject.Principal, error) {
		cancel()
		return servertest.Alice(in), nil
	}
	response, err := f.Server.Exchange(ctx, goodRequest())
	if response != nil || status.Code(err) != codes.Canceled {
		t.Errorf("got %v, %v", response, err)
	}
	if r := f.Records.Take(); len(r) != 1 || r[0].Reason != "CANCELLED" {
		t.Errorf("audit records %+v", r)
	}
}
