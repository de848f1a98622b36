package render

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// PageTransactions is how many transactions WriteHTML shows with their pictures.
const PageTransactions = 50

// maxListed is how many findings and refused calls of one transaction, and how many about
// the inputs, are on a page.
const maxListed = 40

//go:embed page
var pageFiles embed.FS

var (
	pageTemplate = template.Must(template.ParseFS(pageFiles, "page/*.html.tmpl"))
	pageStyle    = mustRead("page/style.css")
	// pagePolicy lets a browser load and run nothing at all, and apply this one style.
	pagePolicy = "default-src 'none'; style-src 'sha256-" + digest(pageStyle) + "'; base-uri 'none'; form-action 'none'"
)

func mustRead(name string) string {
	text, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// pageView is what the template of the page gets.
type pageView struct {
	Policy  string
	Style   template.CSS
	Made    string
	Mark    mark
	Verdict string
	Lead    string
	Tiles   []tile
	// Own says that certificates were held to bundles that were given.
	Own bool
	// Spans says that calls were held to spans.
	Spans        bool
	Logs         []logView
	MoreLogs     int
	Findings     findingsView
	Transactions []*transactionView
	// Omitted is how many transactions are counted but not on the page.
	Omitted, Total int64
}

type tile struct {
	Number int64
	Label  string
	Mark   mark
}

type logView struct {
	Name, Server, State string
	Records             int64
}

// findingsView are findings as far as they are shown.
type findingsView struct {
	Shown   []findingView
	Omitted int64
}

type findingView struct {
	ID        string // of the element
	Mark      mark
	Word      string
	Kind      string
	Sentence  string
	Hops      []hopLink
	Means, Do string
	Servers   []string
	Link      string
}

// hopLink is a hop by its number and the address of its row.
type hopLink struct {
	Number int
	Link   string
}

// WriteHTML writes r as one page that needs nothing else: no network, no scripts. It shows
// the first PageTransactions of r.Transactions with a picture each, and says how many there
// are beside. made is when the page is written.
func WriteHTML(w io.Writer, r *chainaudit.Report, made time.Time) error {
	return pageTemplate.ExecuteTemplate(w, "page.html.tmpl", newPageView(r, made))
}

func newPageView(r *chainaudit.Report, made time.Time) *pageView {
	c := r.Counts
	v := &pageView{
		Policy: pagePolicy,
		Style:  template.CSS(pageStyle), //nolint:gosec // a file of this package
		Made:   instant(made), Own: r.BundlesFrom == chainaudit.BundlesGiven, Spans: r.SpansGiven,
	}
	v.Mark, v.Verdict, v.Lead = headline(r)
	v.Tiles = []tile{
		{c.Transactions, noun(c.Transactions, "transaction"), markStart},
		{c.Hops, noun(c.Hops, "hop"), markStart},
		{c.Proved, noun(c.Proved, "verified signature"), markGood},
		{c.Alarms, noun(c.Alarms, "alarm"), quiet(c.Alarms, markBad)},
		{c.Warnings, noun(c.Warnings, "warning"), quiet(c.Warnings, markWarn)},
		{c.Infos, noun(c.Infos, "note"), quiet(c.Infos, markNote)},
	}
	for _, l := range r.Logs[:min(len(r.Logs), maxListed)] {
		v.Logs = append(v.Logs, newLogView(l))
	}
	v.MoreLogs = len(r.Logs) - len(v.Logs)
	v.Findings = newFindingsView(r.Findings, "inputs", func(int) []hopLink { return nil })
	v.Findings.Omitted += r.MoreFindings
	shown := r.Transactions[:min(len(r.Transactions), PageTransactions)]
	for i, t := range shown {
		v.Transactions = append(v.Transactions, newTransactionView(t, i+1, len(shown) == 1))
	}
	v.Total = max(c.Transactions+c.Unjudged, int64(len(r.Transactions)))
	v.Omitted = v.Total - int64(len(shown))
	return v
}

// quiet is m, unless there is nothing to mark.
func quiet(n int64, m mark) mark {
	if n == 0 {
		return markStart
	}
	return m
}

// noun is the noun that goes with n.
func noun(n int64, singular string) string {
	return plural(n, singular)[len(strconv.FormatInt(n, 10))+1:]
}

func headline(r *chainaudit.Report) (m mark, verdict, lead string) {
	c := r.Counts
	where := "about the records themselves"
	if touched := c.Transactions - c.CleanTransactions; touched > 0 {
		where = fmt.Sprintf("in %d of %s", touched, plural(c.Transactions, "transaction"))
	}
	switch {
	case c.Alarms > 0:
		return markBad, "Something is wrong",
			fmt.Sprintf("%s %s. An alarm has no innocent cause: somebody did not keep to the protocol, or changed a record.",
				severities(c.Alarms, c.Warnings, 0), where)
	case c.Warnings > 0:
		return markWarn, "Not everything fits together",
			fmt.Sprintf("%s %s. A warning can have an innocent cause, such as a record that was lost.",
				severities(0, c.Warnings, 0), where)
	case c.Transactions == 0:
		return markNote, "Nothing to audit", "The logs have no record of a transaction."
	}
	lead = fmt.Sprintf("Every recorded call of %s is accounted for, and every signature that was found is good", plural(c.Transactions, "transaction"))
	if r.BundlesFrom == chainaudit.BundlesFromLogs {
		lead += ", if the servers trusted the right authorities: their own logs were believed about that"
	}
	lead += "."
	if !r.SpansGiven {
		return markGood, "What was recorded fits together", lead + " There were " + noSpans + "."
	}
	return markGood, "Everything fits together", lead
}

func newLogView(l chainaudit.Log) logView {
	v := logView{Name: visible(l.Name), Server: visible(orElse(l.Server, "unknown")), Records: l.Records, State: "complete"}
	switch {
	case l.Damaged > 0:
		v.State = plural(l.Damaged, "damaged line")
	case l.Lost > 0:
		v.State = plural(l.Lost, "lost record")
	case !l.Closed:
		v.State = "without an end"
	}
	return v
}

// newFindingsView takes the findings that are shown: those of the element id. hops returns
// the hops of the i-th.
func newFindingsView(found []chainaudit.Finding, id string, hops func(i int) []hopLink) findingsView {
	var v findingsView
	for i := range found {
		if i == maxListed {
			v.Omitted = int64(len(found) - maxListed)
			break
		}
		f := &found[i]
		a := adviceOn(f)
		view := findingView{
			ID: fmt.Sprintf("%sf%d", id, i+1), Mark: markOf(f.Severity), Word: word(f.Severity), Kind: visible(string(f.Kind)),
			Sentence: sentence(f), Means: a.means, Do: a.do, Link: visible(f.Link), Hops: hops(i),
		}
		for _, s := range f.Servers[:min(len(f.Servers), maxListed)] {
			view.Servers = append(view.Servers, visible(s))
		}
		v.Shown = append(v.Shown, view)
	}
	return v
}
