package chainaudit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// Files that are mixed up are neither passed over, as if they had been looked at, nor cause
// for alarm.
func TestFilesOfAnotherKindAreAnError(t *testing.T) {
	w := chaintest.New(t, nil)
	order(w)
	w.Close()
	log, traces, issued := w.LogPath("orders"), w.WriteTraces(), w.WriteIssued()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, odd := file("empty", ""), file("odd", "something\n{}\n")
	denied := file("denied", `{"event.name":"txn_token.issuance.denied"}`+"\n")
	tests := map[string]struct {
		in   chainaudit.Input
		want string
	}{
		"a chain log as spans":                {chainaudit.Input{Logs: []string{log}, Traces: []string{log}}, "no trace export"},
		"an empty file as spans":              {chainaudit.Input{Logs: []string{log}, Traces: []string{empty}}, "no trace export"},
		"one of two files of spans":           {chainaudit.Input{Logs: []string{log}, Traces: []string{traces, odd}}, "no trace export"},
		"a chain log for the token service's": {chainaudit.Input{Logs: []string{log}, Issued: []string{log}}, "no log of the token service"},
		"spans for the token service's log":   {chainaudit.Input{Logs: []string{log}, Issued: []string{issued, traces}}, "no log of the token service"},
		"an empty log of the token service":   {chainaudit.Input{Logs: []string{log}, Issued: []string{empty}}, "no record of an issued token"},
		"nothing was issued":                  {chainaudit.Input{Logs: []string{log}, Issued: []string{denied}}, "no record of an issued token"},
		"a log of the token service":          {chainaudit.Input{Logs: []string{log, issued}}, "no chain log"},
		"spans as a chain log":                {chainaudit.Input{Logs: []string{log, traces}}, "no chain log"},
		"something else as a chain log":       {chainaudit.Input{Logs: []string{log, odd}}, "no chain log"},
		"an empty file as a chain log":        {chainaudit.Input{Logs: []string{log, empty}}, "empty"},
		"nothing but a lock":                  {chainaudit.Input{Logs: []string{log + ".lock"}}, "no chain log"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := chainaudit.Run(t.Context(), tc.in, chainaudit.Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	in := chainaudit.Input{Logs: []string{log, log + ".lock"}, Traces: []string{traces}, Issued: []string{issued, denied}}
	if r := run(t, in, chainaudit.Options{}); len(r.Logs) != 1 || len(r.Findings) != 0 {
		t.Errorf("with a lock: %+v, %+v", r.Logs, r.Findings)
	}
}
