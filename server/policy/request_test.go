package policy_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Covers PRIV-01.
func TestARequestPrintsNothingPersonal(t *testing.T) {
	r := purchase(t)
	const want = "policy.Request(urn:ietf:params:oauth:token-type:access_token from spiffe://shop.test/backoffice)"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		if got := fmt.Sprintf(verb, r); got != want {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "request", r)
	if !strings.Contains(log.String(), want) || strings.Contains(log.String(), "ada@") || strings.Contains(log.String(), "u1") {
		t.Errorf("logged %s", log.String())
	}
}
