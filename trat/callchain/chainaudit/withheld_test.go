package chainaudit_test

import (
	"slices"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// A server that its own signatures, or spans, prove to have taken part, and whose log is not
// given, is no matter of course: its log may be withheld.
func TestWithheldLogIsAWarning(t *testing.T) {
	tests := map[string]struct {
		make     func(w *chaintest.World)
		withheld string
		kind     chainaudit.Kind
		words    string
		noSpans  bool
	}{
		"of a server that went on": {
			func(w *chaintest.World) { w.Begin("gateway").Call("orders", create).Call("payments", charge) },
			"orders", chainaudit.KindLinkWithoutRecord, "spiffe://shop.test/orders received a call", true,
		},
		"of a server that went on, in head mode": {
			func(w *chaintest.World) { w.Begin("gateway").Call("orders", create).Call("payments", charge, head) },
			"orders", chainaudit.KindMissingParent, "no log of spiffe://shop.test/orders was given", true,
		},
		"of a server that went on after a checkpoint": {
			func(w *chaintest.World) {
				w.Begin("gateway").Call("orders", create).Checkpoint().Call("payments", charge)
			},
			"orders", chainaudit.KindMissingParent, "no log of spiffe://shop.test/orders was given", true,
		},
		"of the last server": {
			func(w *chaintest.World) { w.Begin("gateway").Call("orders", create).Call("payments", charge) },
			"payments", chainaudit.KindLinkWithoutRecord, "the server has no record", false,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := chaintest.New(t, nil)
			tc.make(w)
			r := audit(t, w, func(in *chainaudit.Input, _ *chainaudit.Options) {
				in.Logs = slices.DeleteFunc(in.Logs, func(path string) bool { return path == w.LogPath(tc.withheld) })
				if tc.noSpans {
					in.Traces = nil
				}
			})
			wantFinding(t, r, tc.kind, chainaudit.SeverityWarning, tc.words)
			if r.Counts.Alarms > 0 {
				t.Errorf("%+v", all(r))
			}
		})
	}
}

// Without spans nothing tells of a call of which only a withheld server knew, and the report
// says so.
func TestReportWithoutSpansSaysSo(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("orders", create).Call("payments", charge)
	for _, spans := range []bool{true, false} {
		r := audit(t, w, func(in *chainaudit.Input, _ *chainaudit.Options) {
			in.Logs = []string{w.LogPath("orders")}
			if !spans {
				in.Traces = nil
			}
		})
		if r.SpansGiven != spans || r.Clean() == spans {
			t.Errorf("spans %v: %v, clean %v", spans, r.SpansGiven, r.Clean())
		}
	}
}
