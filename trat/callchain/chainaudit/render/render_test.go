package render

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

var updateRendered = flag.Bool("update-rendered", false, "write testdata anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *updateRendered {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, which -update-rendered writes anew (-want +got):\n%s", name, diff)
	}
}

func examples() map[string]*chainaudit.Report {
	return map[string]*chainaudit.Report{
		"clean":    reportOf(cleanTransaction()),
		"troubled": reportOf(troubledTransaction()),
		"large":    reportOf(largeTransaction()),
		"empty":    reportOf(),
	}
}

func textOf(t *testing.T, r *chainaudit.Report) string {
	t.Helper()
	var b strings.Builder
	x := NewTextWriter(&b)
	for _, transaction := range r.Transactions {
		if err := x.Transaction(transaction); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Summary(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func jsonOf(t *testing.T, r *chainaudit.Report) string {
	t.Helper()
	var b strings.Builder
	j := NewJSONWriter(&b)
	for _, transaction := range r.Transactions {
		if err := j.Transaction(transaction); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Summary(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func htmlOf(t *testing.T, r *chainaudit.Report) string {
	t.Helper()
	var b strings.Builder
	if err := WriteHTML(&b, r, began.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatPeopleAndProgramsGet(t *testing.T) {
	for name, r := range examples() {
		golden(t, name+".txt", textOf(t, r))
		golden(t, name+".jsonl", jsonOf(t, r))
	}
	golden(t, "troubled.html", htmlOf(t, reportOf(troubledTransaction())))
}

func TestEveryLineOfJSONIsAnObjectAndTheLastTheSummary(t *testing.T) {
	r := reportOf(cleanTransaction(), troubledTransaction())
	lines := strings.Split(strings.TrimSuffix(jsonOf(t, r), "\n"), "\n")
	var types []string
	for _, line := range lines {
		var object struct {
			Type         string
			Worst        string
			Clean        *bool
			Transactions []json.RawMessage
			Roots        []chainaudit.Hop
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		types = append(types, object.Type+" "+object.Worst)
		if object.Type == "summary" && (object.Clean == nil || *object.Clean || object.Transactions != nil) {
			t.Errorf("summary %s", line)
		}
		for _, root := range object.Roots {
			if len(root.Link) != 43 {
				t.Errorf("link %q is not complete", root.Link)
			}
		}
	}
	if diff := cmp.Diff([]string{"transaction none", "transaction alarm", "summary "}, types); diff != "" {
		t.Error(diff)
	}
}

// hostile are names as an attacker would like to have them.
var hostile = []string{
	`</title></text></svg><script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	"javascript:alert(1)",
	"--></style><style>*{display:none}</style>",
	"{{.Policy}} &amp; &lt;",
	"\u202egnp.exe\u2066\x1b[2J\u009b31m\x00\xff\r\n  1  ok  path  0",
	strings.Repeat("W", 5000),
	"https://evil.test/x.png",
}

// hostileReport has them wherever there is text.
func hostileReport() *chainaudit.Report {
	b := build("x", "gateway")
	at := b.call(nil, "a", "b", "S/M")
	for _, name := range hostile {
		h := b.call(at, "a", "b", "S/M")
		h.Caller, h.Callee, h.Method, h.Link, h.Token = name, "spiffe://shop.test/"+name, "/"+name+"/"+name, name, name
		h.Judgements[0] = chainaudit.Judgement{Server: name, Replica: name, Peer: name, Method: name, Mode: name, Result: name, Reason: name, Log: name}
		b.Refused = append(b.Refused, h.Judgements[0])
		b.Findings = append(b.Findings, chainaudit.Finding{Kind: chainaudit.Kind(name), Severity: chainaudit.SeverityAlarm, Link: name, Servers: []string{name}, Text: name, Log: name})
		h.Findings = []int{len(b.Findings) - 1, -1, 999}
		b.Tokens = append(b.Tokens, chainaudit.Token{Hash: name, Requester: name, Anchor: name})
		b.Roots = append(b.Roots, &chainaudit.Hop{Caller: name, Callee: name, Parent: name, Proof: chainaudit.Proof(name)})
	}
	b.ID = strings.Join(hostile, " ")
	r := reportOf(b.Transaction)
	r.Findings = b.Findings
	for _, name := range hostile {
		r.Logs = append(r.Logs, chainaudit.Log{Name: name, Server: name})
	}
	return r
}

func TestTextOfStrangersStaysInItsPlace(t *testing.T) {
	text := textOf(t, hostileReport())
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("unprintable in %q", text[max(i-40, 0):i+10])
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  1  ok") {
			t.Errorf("a stranger wrote a line: %s", line)
		}
	}
	for line := range bytes.Lines([]byte(jsonOf(t, hostileReport()))) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestDeepAndBroadTransactionsArePrintedInProportion(t *testing.T) {
	const hops = 5000
	deep, broad := build("deep", "gateway"), build("broad", "gateway")
	last := deep.call(nil, "gateway", "orders", "S/M")
	root := broad.call(nil, "gateway", "orders", "S/M")
	for range hops {
		last = deep.call(last, "orders", "orders", "S/M")
		broad.find(broad.call(root, "orders", "orders", "S/M"), chainaudit.KindRefused, chainaudit.SeverityInfo, "refused")
	}
	for _, b := range []*builder{deep, broad} {
		r := reportOf(b.Transaction)
		if size := len(textOf(t, r)); size > hops*700 {
			t.Errorf("%s: %d bytes of text", b.ID, size)
		}
		if size := len(htmlOf(t, r)); size > 300_000 {
			t.Errorf("%s: %d bytes of HTML", b.ID, size)
		}
	}
}

func TestTransactionsThatMakeNoSenseAreShown(t *testing.T) {
	for name, transaction := range map[string]*chainaudit.Transaction{
		"nothing":       {},
		"an empty hop":  {Roots: []*chainaudit.Hop{{}}},
		"only refusals": {Refused: []chainaudit.Judgement{{}}},
		"a finding of an unknown kind and severity": {
			Roots: []*chainaudit.Hop{{Findings: []int{0}}}, Findings: []chainaudit.Finding{{Kind: "x", Severity: 9}},
		},
	} {
		r := reportOf(transaction)
		for _, got := range []string{textOf(t, r), htmlOf(t, r)} {
			if !strings.Contains(got, "without") {
				t.Errorf("%s:\n%s", name, got)
			}
		}
	}
}

// Who believes the servers about whom they trusted is told so where all seems well.
func TestAllClearSaysWhatItRestsOn(t *testing.T) {
	for from, doubt := range map[chainaudit.BundleSource]bool{chainaudit.BundlesFromLogs: true, chainaudit.BundlesGiven: false} {
		r := reportOf(cleanTransaction())
		r.BundlesFrom = from
		const words = "if the servers trusted the right authorities"
		if text, page := textOf(t, r), htmlOf(t, r); strings.Contains(text, "in order, "+words) != doubt || strings.Contains(page, words) != doubt {
			t.Errorf("bundles from %s:\n%s", from, text)
		}
		if summary := jsonOf(t, r); !strings.Contains(summary, `"bundles_from":"`+string(from)+`"`) {
			t.Errorf("summary %s", summary)
		}
	}
}
