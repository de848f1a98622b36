package semconv_test

import (
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestEveryReasonAboutChainsHasItsResult(t *testing.T) {
	for reason, want := range map[trat.Reason]string{
		trat.ReasonChainMissing:          semconv.ChainResultMissing,
		trat.ReasonChainLinkInvalid:      semconv.ChainResultLinkInvalid,
		trat.ReasonChainPeerMismatch:     semconv.ChainResultPeerMismatch,
		trat.ReasonChainRootMismatch:     semconv.ChainResultRootMismatch,
		trat.ReasonChainTooDeep:          semconv.ChainResultTooDeep,
		trat.ReasonChainReplayed:         semconv.ChainResultReplayed,
		trat.ReasonInternal:              semconv.ChainResultError,
		trat.ReasonDependencyUnavailable: semconv.ChainResultError,
		"":                               semconv.ChainResultError,
	} {
		if got := semconv.ChainResultOf(string(reason)); got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
	}
}
