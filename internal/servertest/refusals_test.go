package servertest_test

import (
	"strings"
	"testing"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers ERR-01, ERR-02, ERR-03, ERR-04, ERR-05, ERR-06, ERR-07, ERR-08, ERR-09, ERR-10.
func TestEveryReasonOfAnExchangeHasARefusal(t *testing.T) {
	given := make(map[trat.Reason]bool)
	for name, refusal := range servertest.Refusals() {
		given[refusal.Reason] = true
		if _, ok := servertest.Answers[refusal.Reason]; !ok {
			t.Errorf("%s: no answer is written down for %s", name, refusal.Reason)
		}
	}
	for _, name := range tratv1.Reason_name {
		reason := trat.Reason(strings.TrimPrefix(name, "REASON_"))
		switch {
		case grpcerr.OAuth(reason).Code == "server_error" && reason != trat.ReasonInternal: // never over HTTP
			if given[reason] {
				t.Errorf("%s is no reason of an exchange by the table of internal/grpcerr", reason)
			}
		case reason == trat.ReasonPeerDenied: // of those who ask for keys
		case !given[reason]:
			t.Errorf("no refusal for %s", reason)
		}
		delete(given, reason)
	}
	if len(given) > 0 {
		t.Errorf("no reasons of trat.v1: %v", given)
	}
}
