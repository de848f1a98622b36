package auditlog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// documentPolicy is the version of a policy: the SHA-256 of its file.
const documentPolicy = "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"

// documentLog writes the log that docs/audit-log.md shows.
func documentLog(t *testing.T) (text string, head Head) {
	t.Helper()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	now := at
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	file, err := OpenFile(FileConfig{Path: path, Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []server.Record{
		{
			DecisionID: "8d1f0a6c25e7b394", Time: at.Add(1250 * time.Millisecond), Requester: "spiffe://shop.test/gateway",
			SubjectTokenType: "urn:ietf:params:oauth:token-type:access_token", SubjectIssuer: "https://login.test",
			SubjectPseudonym: "nVb2SgFrEoXlqO0h1a7uTg", SubjectPseudonymKey: "9f2c41d7.20261122T000000Z",
			TransactionID: "lwU5Y3cdScyk4yCq05nDEg",
			Fingerprint:   "kZq3vBmvXnVfJmBEd8mHkXyzJ6b6mC0yG0m3pX5oW9Q", TokenSize: 612, Scope: "order.create",
			IssuedAt: at.Add(time.Second), Expiry: at.Add(16 * time.Second), Rule: "gateway-orders", PolicyVersion: documentPolicy,
		},
		{
			DecisionID: "41c9e07b6a2d85f3", Time: at.Add(3 * time.Second), Reason: trat.ReasonScopeExceeded,
			Requester: "spiffe://shop.test/gateway", PolicyVersion: documentPolicy,
		},
		{},
	} {
		if r.Time.IsZero() { // what comes after two that were lost
			now = at.Add(5 * time.Second)
			file.log.Lose(2)
		}
		if err := file.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	return renamed(strings.Join(lines[:4], ""), "5b0e6d3a9f1c4872a6d0b3e94c7f1825")
}

// renamed gives a log that was just written the id of the one in the document.
func renamed(text, id string) (log string, head Head) {
	_, rest, _ := strings.Cut(text, `"txn_token.audit.log":"`)
	text = strings.ReplaceAll(text, rest[:len(id)], id)
	head = Head{Log: id, Hash: strings.Repeat("0", 64)}
	for line := range strings.Lines(text) {
		sealed, _, _ := strings.Cut(line, `,"hash":"`)
		before, after, _ := strings.Cut(sealed, `"prev":"`)
		sealed = before + `"prev":"` + head.Hash + after[len(head.Hash):]
		sum := sha256.Sum256([]byte(sealed))
		head.Sequence, head.Hash = head.Sequence+1, hex.EncodeToString(sum[:])
		log += sealed + `,"hash":"` + head.Hash + "\"}\n"
	}
	return log, head
}

func TestDocumentShowsARealLog(t *testing.T) {
	page, err := os.ReadFile("../../docs/audit-log.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n```jsonl\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 1 {
		t.Fatalf("%d blocks of JSON lines", len(blocks))
	}
	shown := blocks[0][1]
	want, head := documentLog(t)
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("the example is not what is written (-want +got):\n%s", diff)
	}
	if !strings.Contains(string(page), head.String()) {
		t.Errorf("the example's checkpoint is %s", head)
	}
	report, err := Verify(strings.NewReader(shown), VerifyOptions{Heads: []Head{head}})
	if err != nil || report.Records != 2 || report.Lost != 2 || report.Opened != 1 || report.Resumed != 1 {
		t.Errorf("report %+v, %v", report, err)
	}
	// By hand, as the page says.
	lines := strings.Split(strings.TrimSpace(shown), "\n")
	for i, text := range lines {
		sealed, rest, _ := strings.Cut(text, `,"hash":"`)
		sum := sha256.Sum256([]byte(sealed))
		if hash := hex.EncodeToString(sum[:]); rest != hash+`"}` || i+1 < len(lines) && !strings.Contains(lines[i+1], `"prev":"`+hash+`"`) {
			t.Errorf("line %d: hash %s", i+1, hash)
		}
	}
	// What the page says of a removed line.
	report, err = Verify(strings.NewReader(lines[0]+"\n"+lines[1]+"\n"+lines[3]+"\n"), VerifyOptions{Heads: []Head{head}})
	if !errors.Is(err, ErrBroken) || !strings.Contains(string(page), report.Breaks[0].String()) {
		t.Errorf("the page does not have %v", report.Breaks)
	}
	report, _ = Verify(strings.NewReader(lines[0]+"\n"+lines[1]+"\n"), VerifyOptions{Heads: []Head{head}})
	if len(report.Breaks) != 1 || !strings.Contains(string(page), report.Breaks[0].String()) {
		t.Errorf("the page does not have %v", report.Breaks)
	}
}

// Every kind of break is explained.
func TestDocumentExplainsEveryBreak(t *testing.T) {
	page, err := os.ReadFile("../../docs/audit-log.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []BreakKind{
		BreakText, BreakContent, BreakLink, BreakMissing, BreakOrder,
		BreakStart, BreakLog, BreakKey, BreakTorn, BreakHead,
	} {
		if !strings.Contains(string(page), "| "+string(kind)+" |") {
			t.Errorf("docs/audit-log.md does not explain %q", kind)
		}
	}
}
