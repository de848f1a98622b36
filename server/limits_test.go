package server_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers ERR-09.
func TestRateIsLimitedPerWorkload(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.RequestsPerSecond, c.Burst = 2, 3 })
	ctx, request := f.as(t, gateway), goodRequest()
	request.RequestId = ""
	for range 3 {
		f.exchange(t, ctx, request)
	}
	for _, bad := range []*tratv1.ExchangeRequest{request, {}} { // found before the request is looked at
		_, err := f.Server.Exchange(f.as(t, gateway), bad) // over whatever connection
		wantReason(t, err, trat.ReasonRateLimited)
		if !hasRetry(err) || !hasQuota(err) {
			t.Errorf("details %v", status.Convert(err).Details())
		}
	}
	if f.Access.Calls() != 3 {
		t.Errorf("%d subject tokens verified, want 3", f.Access.Calls())
	}
	other := goodRequest()
	other.Scope = "report.run"
	f.exchange(t, f.as(t, longRunner), other) // others have a rate of their own
	list := f.Records.Take()
	if len(list) != 5 || list[3].Reason != trat.ReasonRateLimited || list[3].Requester != gateway.String() {
		t.Errorf("records %+v", list)
	}
	f.Clock.Advance(500 * time.Millisecond)
	f.exchange(t, ctx, request)
	_, err := f.Server.Exchange(ctx, request)
	wantReason(t, err, trat.ReasonRateLimited)
}

// Covers TTS-42, ERR-09.
func TestFloodIsCountedAndRecordedOnceASecond(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.RequestsPerSecond, c.Burst = 1e-3, 1 })
	f.exchange(t, f.as(t, gateway), goodRequest())
	f.Records.Take()
	var omitted []int
	for range 35 {
		for _, caller := range []spiffeid.ID{gateway, gateway, longRunner, gateway} {
			_, err := f.Server.Exchange(f.as(t, caller), &tratv1.ExchangeRequest{})
			if caller == gateway {
				wantReason(t, err, trat.ReasonRateLimited)
			}
		}
		for _, r := range f.Records.Take() {
			if r.Requester != gateway.String() {
				continue
			}
			if r.Reason != trat.ReasonRateLimited {
				t.Fatalf("record %+v", r)
			}
			omitted = append(omitted, r.OmittedRefusals)
		}
		f.Clock.Advance(100 * time.Millisecond)
	}
	if want := []int{0, 29, 29, 29}; !slices.Equal(omitted, want) {
		t.Errorf("records with %d refusals before them, want %d", omitted, want)
	}
	if text := f.Logs.String(); strings.Count(text, "exchange refused") > 10 {
		t.Errorf("the log is as long as the flood:\n%s", text)
	}
}

func hasQuota(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if _, ok := d.(*errdetails.QuotaFailure); ok {
			return true
		}
	}
	return false
}

// Covers ERR-09.
func TestCallersThatAreNotAuthenticatedCostNobodyARate(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.Burst = 1 })
	for range 3 {
		_, err := f.Server.Exchange(t.Context(), goodRequest())
		wantReason(t, err, trat.ReasonClientUnauthenticated)
	}
	f.exchange(t, f.as(t, gateway), goodRequest())
}

// Covers ERR-09.
func TestExchangesUnderWayAreLimitedWithAShareForEachWorkload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *server.Config) { c.MaxConcurrent = 4 })
		ctx := f.as(t, gateway)
		h := f.hold()
		request := func(id int) *tratv1.ExchangeRequest {
			r := goodRequest()
			r.RequestId = fmt.Sprint(id)
			return r
		}
		for id := range 2 {
			go func() {
				if _, err := f.Server.Exchange(ctx, request(id)); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		_, err := f.Server.Exchange(ctx, request(2)) // half of them is its share
		wantReason(t, err, trat.ReasonRateLimited)
		go func() {
			other := request(3)
			other.Scope = "report.run"
			if _, err := f.Server.Exchange(f.as(t, longRunner), other); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		close(h.release)
		synctest.Wait()
		for id := range 10 { // every seat is given back, after a refusal too
			f.exchange(t, ctx, request(10+id))
			if _, err := f.Server.Exchange(ctx, &tratv1.ExchangeRequest{}); err == nil {
				t.Fatal("no error")
			}
		}
	})
}

func TestNewRefusesLimitsThatAreNone(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(*server.Config){
		"RequestsPerSecond -1":      func(c *server.Config) { c.RequestsPerSecond = -1 },
		"RequestsPerSecond NaN":     func(c *server.Config) { c.RequestsPerSecond = math.NaN() },
		"RequestsPerSecond +Inf":    func(c *server.Config) { c.RequestsPerSecond = math.Inf(1) },
		"Burst -1":                  func(c *server.Config) { c.Burst = -1 },
		"MaxConcurrent -1":          func(c *server.Config) { c.MaxConcurrent = -1 },
		"MaxWatchers -1":            func(c *server.Config) { c.MaxWatchers = -1 },
		"PseudonymKey has 31 bytes": func(c *server.Config) { c.PseudonymKey = make([]byte, 31) },
		"PseudonymKey has 0 bytes":  func(c *server.Config) { c.PseudonymKey = []byte{} },
		"PseudonymPeriod -1s":       func(c *server.Config) { c.PseudonymPeriod = -time.Second },
		"PseudonymPeriod 1.5s":      func(c *server.Config) { c.PseudonymPeriod = 1500 * time.Millisecond },
		`the evaluator "pdp"`:       func(c *server.Config) { c.Evaluators = map[string]server.Evaluator{"pdp": nil} },
		`the evaluator ""`:          func(c *server.Config) { c.Evaluators = map[string]server.Evaluator{"": &servertest.PDP{}} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := f.Config
			change(&cfg)
			if _, err := server.New(cfg); err == nil || !contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		})
	}
}
