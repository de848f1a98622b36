//go:build integration

package integration

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

// A workload without a user vouches for itself with what SPIRE has given it: the key of
// its X.509-SVID, or a JWT-SVID. Either is good for one exchange. The workload is the tests
// themselves.
//
// Covers TTS-13, TTS-14, TTS-15.
func TestWorkloadOfSPIREStartsATransaction(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := startSPIRE(t, trustDomain.Name(), time.Minute,
		registration{"tts", filepath.Join(programs, "tratd")},
		registration{"probe", filepath.Join(programs, "trat")},
		registration{"scheduler", self})
	scheduler := startTokenService(t, serviceOptions{
		config: `
subject_tokens:
  self_signed: {replay_store: memory, jwt_svid: once}
`,
		policy: `version: 1
rules:
  - name: counts
    requester: spiffe://shop.test/scheduler
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [stock.count]
`,
		workloads: []string{"scheduler"},
		spire:     s,
	}).client(t, "scheduler")
	exchange := func(raw string) (*trat.Token, error) {
		return scheduler.Exchange(t.Context(), client.Request{
			SubjectToken: raw, SubjectTokenType: client.SelfSigned, Scope: "stock.count",
		})
	}

	signed, err := scheduler.SignSubject(client.Subject{Name: "nightly-count"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := exchange(signed)
	wantIssued(t, token, err, "self:shop.test/scheduler:nightly-count", "stock.count")
	_, err = exchange(signed)
	wantRefused(t, err, trat.ReasonSubjectTokenReplayed)

	own := fetchJWTSVID(t, s, tokenIssuer)
	token, err = exchange(own)
	wantIssued(t, token, err, "self:shop.test/scheduler", "stock.count")
	_, err = exchange(own)
	wantRefused(t, err, trat.ReasonSubjectTokenReplayed)
	_, err = exchange(fetchJWTSVID(t, s, "https://elsewhere.test"))
	wantRefused(t, err, trat.ReasonSubjectTokenInvalid)
}

// fetchJWTSVID gets a JWT-SVID of the tests themselves.
func fetchJWTSVID(t *testing.T, s *spire, audience string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience}, workloadapi.WithAddr(s.workloadAPI()))
	if err != nil {
		t.Fatal(err)
	}
	return svid.Marshal()
}
