package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// TextWriter writes transactions for people: a tree for each, with what was found. Columns of
// fixed width come first and names last, so that narrow terminals break lines where it does
// least harm. It has no colours and is for one goroutine.
type TextWriter struct {
	w io.Writer
	// explained is the advice that was given.
	explained map[advice]bool
}

// NewTextWriter returns a TextWriter. Everything is written with one call of w.Write for each
// transaction.
func NewTextWriter(w io.Writer) *TextWriter {
	return &TextWriter{w: w, explained: make(map[advice]bool)}
}

// Transaction writes t. Characters in names that cannot be seen are escaped.
func (x *TextWriter) Transaction(t *chainaudit.Transaction) error {
	var b strings.Builder
	tree := newTree(t)
	fmt.Fprintf(&b, "transaction %s: %s\n", orElse(visible(t.ID), "without id"), severities(severitiesOf(t)))
	fmt.Fprintf(&b, "  %s\n", tree.facts())
	if len(tree.rows) > 0 {
		fmt.Fprintf(&b, "\n  hop  verdict  mode  depth     after  link      call\n")
	}
	for _, s := range tree.starts {
		fmt.Fprintf(&b, "%46s%s\n", "", tree.startName(s))
		for i, r := range s.calls {
			writeRow(&b, tree, r, "", i == len(s.calls)-1)
		}
	}
	writeRefused(&b, tree)
	for i := range t.Findings {
		x.finding(&b, &t.Findings[i], tree.concerned[i])
	}
	b.WriteByte('\n')
	_, err := io.WriteString(x.w, b.String())
	return err
}

// facts says in one sentence who began the transaction, when, and how much there is.
func (t *tree) facts() string {
	text := fmt.Sprintf("started by %s at %s; %s in %s, %s verified",
		visible(t.startedBy()), instant(t.Start), plural(len(t.rows), "hop"), duration(t.End.Sub(t.Start)), plural(t.Proved, "signature"))
	switch t.KnownFrom {
	case chainaudit.KnownFromSpans:
		text += "; known only from spans: no chain was judged"
	case chainaudit.KnownFromIssuance:
		text += "; known only from the log of the token service: no chain was judged"
	case chainaudit.KnownFromRecords:
	}
	return text
}

// startedBy returns the workload that began the transaction.
func (t *tree) startedBy() string {
	for _, s := range t.starts {
		if s.known && (t.KnownFrom != chainaudit.KnownFromSpans || len(t.Tokens) == 0) {
			return orElse(s.id, "an unknown workload")
		}
	}
	if len(t.Tokens) > 0 {
		return orElse(t.Tokens[0].Requester, "an unknown workload")
	}
	return "an unknown workload"
}

func (t *tree) startName(s *start) string {
	if s.known {
		return t.name(s.id)
	}
	return t.name(s.id) + "  (how the transaction got here is unknown)"
}

// maxIndent is how far the tree goes to the right, in bytes. What is deeper stays there, so
// that a transaction without end is not printed as a square.
const maxIndent = 300

func writeRow(b *strings.Builder, t *tree, r *row, indent string, last bool) {
	branch, below := "├─ ", "│  "
	if last {
		branch, below = "└─ ", "   "
	}
	if len(indent) > maxIndent {
		below = ""
	}
	after := "-"
	if d, ok := t.after(r); ok {
		after = duration(d)
	}
	service, method := splitMethod(r.Method)
	fmt.Fprintf(b, "  %3d  %-7s  %-4s  %5d  %8s  %-8s  %s%s%s  %s", r.number, loud(r.gravity()), orElse(r.mode(), "-"), r.Depth,
		after, orElse(shortHash(r.Link), "-"), indent, branch, t.name(r.Callee), joined(service, method))
	if verdict := t.verdict(r); verdict != verdictGood {
		fmt.Fprintf(b, "  (%s)", verdict)
	}
	if r.stray() {
		fmt.Fprintf(b, "  called by %s", t.name(r.Caller))
	}
	b.WriteByte('\n')
	for i, c := range r.calls {
		writeRow(b, t, c, indent+below, i == len(r.calls)-1)
	}
}

// writeRefused writes the refused calls of which no link is known.
func writeRefused(b *strings.Builder, t *tree) {
	if len(t.Refused) > 0 {
		fmt.Fprintf(b, "\n  refused before a link was verified:\n")
	}
	for i := range t.Refused {
		fmt.Fprintf(b, "    %s\n", t.refusal(&t.Refused[i]))
	}
}

// refusal is one refused call in a sentence.
func (t *tree) refusal(j *chainaudit.Judgement) string {
	service, method := splitMethod(j.Method)
	return fmt.Sprintf("%s refused %s from %s at %s: %s", t.name(j.Server), orElse(joined(service, method), "a call"),
		t.name(j.Peer), instant(j.Time), visible(orElse(j.Reason, orElse(j.Result, "no reason given"))))
}

// finding writes f, and the first time also what its kind means.
func (x *TextWriter) finding(b *strings.Builder, f *chainaudit.Finding, hops []*row) {
	fmt.Fprintf(b, "\n  %-7s  %s%s\n", loud(f.Severity), visible(string(f.Kind)), hopList(hops))
	paragraph(b, "", sentence(f))
	a := adviceOn(f)
	if x.explained[a] {
		return
	}
	x.explained[a] = true
	paragraph(b, "Means: ", a.means)
	paragraph(b, "Do: ", a.do)
}

// sentence is the text of f, with where it shows.
func sentence(f *chainaudit.Finding) string {
	text := visibleUpTo(f.Text, sentenceLetters)
	if f.Log != "" {
		text += " (" + visible(f.Log)
		if f.Line > 0 {
			text += ", line " + strconv.FormatInt(f.Line, 10)
		}
		text += ")"
	}
	return text
}

// loud is the word for s, in capitals if somebody must do something.
func loud(s chainaudit.Severity) string {
	switch {
	case s == 0:
		return "ok"
	case s > chainaudit.SeverityInfo:
		return strings.ToUpper(word(s))
	}
	return word(s)
}

// hopList names hops behind something: ", hops 2 and 5".
func hopList(hops []*row) string {
	if len(hops) == 0 {
		return ""
	}
	var names []string
	for _, r := range hops {
		names = append(names, strconv.Itoa(r.number))
	}
	last := len(names) - 1
	if last == 0 {
		return ", hop " + names[0]
	}
	return ", hops " + strings.Join(names[:last], ", ") + " and " + names[last]
}

// paragraph writes text in lines that fit a narrow terminal.
func paragraph(b *strings.Builder, head, text string) {
	const indent, width = 11, 68
	line := head
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > width && strings.TrimSpace(line) != "" {
			fmt.Fprintf(b, "%*s%s\n", indent, "", strings.TrimRight(line, " "))
			line = ""
		}
		line += word + " "
	}
	if line = strings.TrimRight(line, " "); line != "" {
		fmt.Fprintf(b, "%*s%s\n", indent, "", line)
	}
}

func joined(service, method string) string {
	if service == "" {
		return method
	}
	return service + "/" + method
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// Summary writes what there is to say about r as a whole, transactions excepted.
func (x *TextWriter) Summary(r *chainaudit.Report) error {
	var b strings.Builder
	c := r.Counts
	fmt.Fprintf(&b, "%s: %s\n", verdictOf(r), severities(c.Alarms, c.Warnings, c.Infos))
	fmt.Fprintf(&b, "%s; %s, %s verified; %s\n", transactions(&c),
		plural(c.Hops, "hop"), plural(c.Proved, "signature"), plural(c.Spans, "span"))
	for _, l := range r.Logs {
		fmt.Fprintf(&b, "%s: %s of %s\n", visible(l.Name), records(&l), visible(orElse(l.Server, "an unknown server")))
	}
	if r.BundlesFrom == chainaudit.BundlesFromLogs {
		b.WriteString("certificates were held to the bundles that the servers say they trusted; to yours with --bundle\n")
	}
	if !r.SpansGiven {
		b.WriteString(noSpans + "; they are given with --spans\n")
	}
	for i := range r.Findings {
		x.finding(&b, &r.Findings[i], nil)
	}
	if r.MoreFindings > 0 {
		fmt.Fprintf(&b, "\n  and %d more about the inputs\n", r.MoreFindings)
	}
	_, err := io.WriteString(x.w, b.String())
	return err
}

// transactions says how many there are, and in how many of them something was found.
func transactions(c *chainaudit.Counts) string {
	text := plural(c.Transactions, "transaction")
	if without := c.CleanTransactions - c.NotedTransactions; without > 0 || c.NotedTransactions == 0 {
		text += fmt.Sprintf(", %d without a finding", without)
	}
	if c.NotedTransactions > 0 {
		text += fmt.Sprintf(", %d with notes only", c.NotedTransactions)
	}
	if c.Unjudged > 0 {
		text += fmt.Sprintf("; %d more of which no chain was judged", c.Unjudged)
	}
	return text
}

// records says how many records a log has, and how many of them no transaction got.
func records(l *chainaudit.Log) string {
	if l.Unused > 0 {
		return fmt.Sprintf("%s, %d not used,", plural(l.Records, "record"), l.Unused)
	}
	return plural(l.Records, "record")
}

// noSpans is what an audit without spans cannot find.
const noSpans = "no spans given: calls that only a withheld server knew of cannot be seen"

// verdictOf is the answer in a few words.
func verdictOf(r *chainaudit.Report) string {
	switch {
	case !r.Clean():
		return "NOT IN ORDER"
	case r.Counts.Transactions == 0:
		return "nothing to audit"
	}
	if r.BundlesFrom == chainaudit.BundlesFromLogs {
		return "in order, if the servers trusted the right authorities"
	}
	return "in order"
}
