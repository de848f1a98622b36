//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// svidLifetime is short, so that every SVID is renewed while the demo runs, and long
	// enough for the demo's calls.
	svidLifetime = 20 * time.Second
	// demoTimeout bounds the demo: its attacks, and the wait for the first SVIDs' end.
	demoTimeout = 3 * time.Minute
)

// The demo as it is, with SPIRE in the place of the embedded authority: one server and
// agent for the shop, others for the rival. Every service is attested by the path of its
// program. The attacker is the demo's own program, which has the identities of the
// workloads that it has taken over.
//
// Covers PROP-07, SEC-01, PRIV-01, B-T3, B-T5.
func TestDemoPassesOnSPIRE(t *testing.T) {
	t.Parallel()
	program := func(name string) string { return filepath.Join(programs, name) }
	var shop []registration
	shop = append(shop, registration{"tts", program("tratd")})
	for _, name := range []string{"gateway", "orders", "stocks", "payments"} {
		shop = append(shop, registration{name, program(name)})
	}
	for _, name := range []string{"gateway", "orders", "scheduler", "mallory"} {
		shop = append(shop, registration{name, program("demo")})
	}
	ours := startSPIRE(t, "shop.test", svidLifetime, shop...)
	theirs := startSPIRE(t, "rival.test", svidLifetime, registration{"shipping", program("demo")})

	page := filepath.Join(t.TempDir(), "report.html")
	output := runToEnd(t, demoTimeout, command{
		name: "demo", program: program("demo"), dir: root,
		args: []string{
			"-programs", programs, "-outlive-svids", time.Minute.String(), "-report", page,
			"-workload-api", ours.workloadAPI(), "-rival-workload-api", theirs.workloadAPI(),
		},
	})
	for _, want := range []string{
		"alice orders 2 x teapot for 49.90: paid, picked, packed",
		"token sent to another trust domain             its carrier  EGRESS_BLOCKED",
		"nothing wrong: exit status 0",
		"stolen token with its chain                    stocks       CHAIN_PEER_MISMATCH",
		"a back-dated link, its key expired             stocks       CHAIN_LINK_INVALID",
		"attacks refused as expected",
		"the order itself: nothing wrong, as before",
		"a forged parent, all hashes made anew              exit 3  signature invalid",
		"the first X.509-SVIDs of all 5 servers have expired, an order goes through as before",
		"No complete token or call chain in",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("the demo did not print %q", want)
		}
	}
	if strings.Contains(output, "trat dev") {
		t.Error("the demo ran the embedded authority")
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "<svg") {
		t.Errorf("the page of the audit has no picture: %v", err)
	}
}
