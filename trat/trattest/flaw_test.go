package trattest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers VER-03, VER-04, VER-05, VER-06, VER-08, VER-09, VER-10, VER-11, VER-12, VER-17, VER-26.
func TestVerifierRefusesEveryFlawForItsReason(t *testing.T) {
	d := trattest.New(t, "shop.test")
	for _, broken := range d.BrokenTokens() {
		t.Run(string(broken.Flaw), func(t *testing.T) {
			token, err := d.Verifier().Verify(broken.Raw)
			if token != nil || !errors.Is(err, broken.Reason) {
				t.Fatalf("Verify = %v, %v; want %s", token, err, broken.Reason)
			}
			if reason, _ := trat.ReasonOf(err); reason != broken.Reason {
				t.Errorf("ReasonOf = %s, want %s", reason, broken.Reason)
			}
			if strings.Contains(err.Error(), "eyJ") {
				t.Errorf("the error holds token bytes: %v", err)
			}
		})
	}
}

// Each flaw must be the only one: the most tolerant verifier refuses it too, and
// not for a mistake of the forger.
func TestFlawsHoldForTolerantVerifier(t *testing.T) {
	d := trattest.New(t, "shop.test")
	tolerant := d.Verifier(trat.WithLeeway(trat.MaxLeeway),
		trat.WithAlgorithms(trat.ES256, trat.EdDSA, trat.PS256, trat.RS256))
	for _, broken := range d.BrokenTokens() {
		if _, err := tolerant.Verify(broken.Raw); !errors.Is(err, broken.Reason) {
			t.Errorf("%s: error = %v, want %s", broken.Flaw, err, broken.Reason)
		}
	}
}

func TestForgerMakesGoodTokensButForTheFlaw(t *testing.T) {
	d := trattest.New(t, "shop.test")
	// The extra segment is all that is wrong with this one.
	raw := strings.TrimSuffix(d.Broken(trattest.FourSegments, trattest.Subject("user-7"),
		trattest.Details(`{"quantity":3}`), trattest.Context(`{"ip":"192.0.2.7"}`)), ".AA")
	token, err := d.Verifier().Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := token.TransactionContext().Int64("quantity"); n != 3 {
		t.Errorf("tctx.quantity = %d, want 3", n)
	}
	if ip, _ := token.RequestContext().Text("ip"); ip != "192.0.2.7" || token.Subject() != "user-7" {
		t.Errorf("rctx.ip = %q, sub = %q", ip, token.Subject())
	}
}

func TestFlawsAreDistinctAndHaveReasons(t *testing.T) {
	seen := make(map[trattest.Flaw]bool)
	for _, flaw := range trattest.Flaws() {
		if seen[flaw] {
			t.Errorf("%s: twice", flaw)
		}
		seen[flaw] = true
		if flaw.Reason() == "" {
			t.Errorf("%s: no reason", flaw)
		}
	}
	if reason := trattest.Flaw("unheard of").Reason(); reason != "" {
		t.Errorf("an unknown flaw has reason %s", reason)
	}
}
