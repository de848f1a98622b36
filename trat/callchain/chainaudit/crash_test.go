package chainaudit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// cutBeforeRestart removes the record and the closing line with which the first run of a log
// ends, as a crash does, and makes the hashes of the later lines anew.
func cutBeforeRestart(t *testing.T, w *chaintest.World, name string) {
	t.Helper()
	edit(t, w, name, false, func(lines []string) []string {
		again := lineOf(t, lines, "txn_token.audit.opened", 1)
		if !strings.Contains(lines[again-2], `"event.name":"txn_chain.audit"`) {
			t.Fatalf("before the restart there is %s", lines[again-2])
		}
		return append(lines[:again-2], lines[again:]...)
	})
}

// A server that crashed loses its last records, and does nothing wrong by that. Whoever reads
// the log learns that it did not end as it should.
func TestCrashIsNoAlarm(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("orders", create)
	w.Begin("gateway").Call("orders", create).Call("payments", charge)
	w.Restart("orders")
	w.Advance(time.Hour)
	w.Begin("gateway").Call("orders", create)
	cutBeforeRestart(t, w, "orders")
	r := audit(t, w)
	wantFinding(t, r, chainaudit.KindLinkWithoutRecord, chainaudit.SeverityWarning, "was not closed then")
	wantFinding(t, r, chainaudit.KindLogCut, chainaudit.SeverityWarning, "opened again")
	if r.Counts.Alarms > 0 || r.Kinds[chainaudit.KindLogCut] != 1 {
		t.Errorf("%+v", all(r))
	}
}

// A crash excuses what is missing of its own time only.
func TestCrashIsNoExcuseForOtherTimes(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("orders", create)
	w.Restart("orders")
	w.Advance(time.Hour)
	w.Begin("gateway").Call("orders", create).Call("payments", charge)
	cutBeforeRestart(t, w, "orders")
	edit(t, w, "orders", false, func(lines []string) []string {
		i := lineOf(t, lines, `"event.name":"txn_chain.audit"`, 0)
		return append(lines[:i], lines[i+1:]...)
	})
	r := audit(t, w)
	wantFinding(t, r, chainaudit.KindLinkWithoutRecord, chainaudit.SeverityAlarm, "was lost or removed")
}
