package auditlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// documentPolicy is the version of a policy: the SHA-256 of its file.
const documentPolicy = "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"

// documentLog writes the log that docs/audit-log.md shows.
func documentLog() (text string, head Head) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	c := newChain(nil)
	c.head.Log = "5b0e6d3a9f1c4872a6d0b3e94c7f1825"
	var b strings.Builder
	b.Write(c.mark(semconv.EventAuditOpened, at, mark{}))
	c.commit()
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
	} {
		b.Write(c.record(context.Background(), &r))
		c.commit()
	}
	b.Write(c.mark(semconv.EventAuditResumed, at.Add(5*time.Second), mark{Lost: 2}))
	c.commit()
	return b.String(), c.head
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
	want, head := documentLog()
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
		BreakText, BreakContent, BreakLink, BreakMissing, BreakOrder, BreakStart, BreakLog, BreakKey, BreakTorn, BreakHead,
	} {
		if !strings.Contains(string(page), "| "+string(kind)+" |") {
			t.Errorf("docs/audit-log.md does not explain %q", kind)
		}
	}
}
