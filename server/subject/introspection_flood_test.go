package subject_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-36.
func TestAFloodOfTokensCannotHaveAnIssuerGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue("good", opaqueClaims(now))
		var most, under atomic.Int64
		provider.lieAboutTokens(func(w http.ResponseWriter, _ *http.Request) {
			most.Store(max(most.Load(), under.Add(1)))
			after(200 * time.Millisecond)
			under.Add(-1)
			jsonDocument(members{"active": false})(w, nil)
		})
		r := both(t, start(t, provider, opaqueConfig()))
		var answered, unavailable atomic.Int64
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				_, err := verifyAccess(t, r, fmt.Sprint("made up", i))
				if reason, _ := trat.ReasonOf(err); reason == trat.ReasonSubjectTokenInvalid {
					answered.Add(1)
				} else if reason == trat.ReasonDependencyUnavailable {
					unavailable.Add(1)
				}
			})
		}
		wg.Wait()
		if answered.Load() < 250 || answered.Load()+unavailable.Load() != 1000 || most.Load() > 64 { // half of what all requesters have
			t.Errorf("%d answered, %d not, %d at once", answered.Load(), unavailable.Load(), most.Load())
		}
		provider.lieAboutTokens(nil)
		if _, err := verifyAccess(t, r, "good"); err != nil {
			t.Errorf("a good token of somebody else: %v", err)
		}
	})
}

// Covers TTS-36.
func TestAFloodOfOneRequesterHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.lieAboutTokens(func(w http.ResponseWriter, r *http.Request) {
			after(200 * time.Millisecond)
			jsonDocument(edit(opaqueClaims(now), members{"active": true}))(w, r)
		})
		r := both(t, start(t, provider, opaqueConfig()))
		var flood sync.WaitGroup
		for i := range 4000 {
			flood.Go(func() {
				after(time.Duration(i) * time.Millisecond)
				in := input(trat.TokenTypeAccessToken, fmt.Sprint("made up", i))
				in.Requester = spiffeid.RequireFromString("spiffe://shop.test/rogue")
				_, _ = r.Verify(t.Context(), in)
			})
		}
		after(2 * time.Second)
		for i := range 5 {
			began := time.Now()
			if _, err := verifyAccess(t, r, fmt.Sprint("good", i)); err != nil || time.Since(began) != 200*time.Millisecond {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		}
		flood.Wait()
	})
}
