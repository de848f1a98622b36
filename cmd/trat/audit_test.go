package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

const (
	chainKey     = "abcdefghijklmnopqrstuvwxyz012345"
	chainKeyText = "6162636465666768696a6b6c6d6e6f707172737475767778797a303132333435"
)

// writeLog writes an audit log of three decisions and returns its path and its head.
func writeLog(t *testing.T, key []byte) (path, head string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.log")
	log, err := auditlog.OpenFile(auditlog.FileConfig{Path: path, Key: key, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := log.Record(t.Context(), server.Record{DecisionID: "d", Time: time.Now(), Reason: "ISSUANCE_DENIED", Requester: "spiffe://shop.test/gateway"}); err != nil {
			t.Fatal(err)
		}
	}
	head = log.Head().String()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return path, head
}

// Covers AUD-01, AUD-02.
func TestVerifyLogFindsWhatWasChanged(t *testing.T) {
	path, head := writeLog(t, nil)
	runTrat(t, "", "audit", "verify-log", path).want(t, 0, "intact: 3 records, chained without a key\nhead         "+head, "without --checkpoints or --head nobody can tell")
	full := runTrat(t, "", "audit", "verify-log", path, "--head", head)
	full.want(t, 0, "intact: ", "")
	if full.stderr != "" {
		t.Errorf("complains: %s", full.stderr)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	runTrat(t, string(text), "audit", "verify-log", "-").want(t, 0, "intact: 3 records", "")

	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	for name, change := range map[string]string{
		"a changed record":  strings.Replace(string(text), "gateway", "gatewax", 1),
		"a removed record":  strings.Join(append(lines[:1:1], lines[2:]...), "") + "\n",
		"a repeated record": string(text) + lines[len(lines)-1] + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			runTrat(t, change, "audit", "verify-log", "-").want(t, 3, "NOT INTACT: ", "the audit log is not intact")
			var report struct {
				Intact bool
				Breaks []struct {
					Kind string
					Line int
				}
			}
			asJSON := runTrat(t, change, "audit", "verify-log", "-", "--output", "json")
			asJSON.want(t, 3, "", "")
			asJSON.decode(t, &report)
			if report.Intact || len(report.Breaks) == 0 || report.Breaks[0].Kind == "" || report.Breaks[0].Line == 0 {
				t.Errorf("report %+v", report)
			}
		})
	}
	short := strings.Join(lines[:len(lines)-1], "")
	runTrat(t, short, "audit", "verify-log", "-").want(t, 0, "intact: 2 records", "without --checkpoints or --head nobody can tell")
	runTrat(t, short, "audit", "verify-log", "-", "--head", head).want(t, 3, "NOT INTACT: ", "")

	runTrat(t, "", "audit", "verify-log", filepath.Join(t.TempDir(), "absent")).want(t, 1, "", "absent")
	runTrat(t, "", "audit", "verify-log", path, "--head", "x", "--after", "y").want(t, 2, "", "--head: ")
	runTrat(t, "", "audit", "verify-log").want(t, 2, "", "takes one FILE")
}

// What is printed as head can be given to --head.
func TestVerifyLogOmitsAHeadThatIsNoCheckpoint(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "no log": "x\n"} {
		asJSON := runTrat(t, text, "audit", "verify-log", "-", "-o", "json")
		asJSON.want(t, 3, `"intact": false`, "")
		if strings.Contains(asJSON.stdout, `"head"`) {
			t.Errorf("%s: there is a head:\n%s", name, asJSON.stdout)
		}
		if got := runTrat(t, text, "audit", "verify-log", "-"); strings.Contains(got.stdout, "head") {
			t.Errorf("%s: there is a head:\n%s", name, got.stdout)
		}
	}
}

func TestVerifyLogWithAKey(t *testing.T) {
	path, head := writeLog(t, []byte(chainKey))
	key := writeFile(t, "chain.key", chainKeyText+"\n")
	runTrat(t, "", "audit", "verify-log", path, "--key-file", key, "--head", head).want(t, 0, "chained with a key", "")
	runTrat(t, "", "audit", "verify-log", path).want(t, 3, "chained with a key", "")
	other := writeFile(t, "other.key", strings.Repeat("0", 64))
	runTrat(t, "", "audit", "verify-log", path, "--key-file", other).want(t, 3, "NOT INTACT: ", "")
	plain, _ := writeLog(t, nil)
	runTrat(t, "", "audit", "verify-log", plain, "--key-file", key).want(t, 3, "chained without a key", "written without a key")
	for _, bad := range []string{writeFile(t, "short.key", "abc"), filepath.Join(t.TempDir(), "absent")} {
		runTrat(t, "", "audit", "verify-log", path, "--key-file", bad).want(t, 1, "", "--key-file: ")
	}
}

// Covers AUD-02.
func TestVerifyLogAgainstALogOfOperations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	var operations strings.Builder
	var before []byte // the log after its first run
	var first string  // its head then
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&operations, nil), slog.NewTextHandler(&operations, nil)} {
		text, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		before = text
		log, err := auditlog.OpenFile(auditlog.FileConfig{Path: path, Logger: slog.New(handler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Record(t.Context(), server.Record{DecisionID: "d", Time: time.Now(), Reason: "ISSUANCE_DENIED"}); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = log.Head().String()
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "operations.log", "{\"msg\":\"serving\"}\n"+operations.String())
	full := runTrat(t, "", "audit", "verify-log", path, "--checkpoints", file)
	full.want(t, 0, "intact: ", "")
	if full.stderr != "" || !strings.Contains(full.stdout, "checkpoints  4 were looked for") {
		t.Errorf("printed %s%s", full.stdout, full.stderr)
	}
	runTrat(t, operations.String(), "audit", "verify-log", path, "--checkpoints", "-").want(t, 0, "intact: ", "")
	runTrat(t, string(before), "audit", "verify-log", "-", "--checkpoints", file).want(t, 3, "NOT INTACT: ", "")
	// One that was written anew.
	anew, _ := writeLog(t, nil)
	runTrat(t, "", "audit", "verify-log", anew, "--checkpoints", file).want(t, 3, "NOT INTACT: ", "")

	rest := string(text[len(before):])
	runTrat(t, rest, "audit", "verify-log", "-", "--after", first, "--checkpoints", file).want(t, 0, "intact: 1 records", "")

	runTrat(t, "", "audit", "verify-log", path, "--checkpoints", writeFile(t, "empty.log", "x\n")).want(t, 1, "", "has no checkpoint")
	runTrat(t, "", "audit", "verify-log", path, "--checkpoints", filepath.Join(t.TempDir(), "absent")).want(t, 1, "", "--checkpoints: ")
	runTrat(t, "", "audit", "verify-log", "-", "--checkpoints", "-").want(t, 2, "", "standard input can be read once")
}
