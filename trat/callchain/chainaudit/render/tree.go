package render

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// tree is a transaction as people are shown it: hops numbered from the top down, names
// without what they all have in common.
type tree struct {
	*chainaudit.Transaction
	// domain is the trust domain of most names, which are shown without it.
	domain string
	starts []*start
	rows   []*row // all hops: each before those that it led to
	// concerned are the hops that each finding is of.
	concerned map[int][]*row
}

// start is a workload of which no call is known that led to what it did.
type start struct {
	id string
	// known says that the transaction began here; otherwise how it got here is unknown.
	known bool
	calls []*row
}

// row is one hop.
type row struct {
	*chainaudit.Hop
	number int // from 1
	parent *row
	calls  []*row
	worst  chainaudit.Severity
}

// newTree numbers the hops of t.
func newTree(t *chainaudit.Transaction) *tree {
	out := &tree{Transaction: t, concerned: make(map[int][]*row)}
	for _, h := range t.Roots {
		r := out.add(h, nil)
		known := h.Parent == "" && h.Anchor == ""
		i := slices.IndexFunc(out.starts, func(s *start) bool { return s.id == h.Caller && s.known == known })
		if i < 0 {
			i = len(out.starts)
			out.starts = append(out.starts, &start{id: h.Caller, known: known})
		}
		out.starts[i].calls = append(out.starts[i].calls, r)
	}
	// Roots of one workload are shown together, so that is how they are counted.
	for _, s := range out.starts {
		for _, r := range s.calls {
			out.number(r)
		}
	}
	out.domain = out.mostCommonDomain()
	return out
}

func (t *tree) add(h *chainaudit.Hop, parent *row) *row {
	r := &row{Hop: h, parent: parent}
	for _, i := range h.Findings {
		if i >= 0 && i < len(t.Findings) {
			r.worst = max(r.worst, t.Findings[i].Severity)
		}
	}
	for _, c := range h.Children {
		r.calls = append(r.calls, t.add(c, r))
	}
	return r
}

func (t *tree) number(r *row) {
	t.rows = append(t.rows, r)
	r.number = len(t.rows)
	for _, i := range r.Findings {
		t.concerned[i] = append(t.concerned[i], r)
	}
	for _, c := range r.calls {
		t.number(c)
	}
}

func (t *tree) mostCommonDomain() string {
	count := make(map[string]int)
	for _, r := range t.rows {
		count[domainOf(r.Caller)]++
		count[domainOf(r.Callee)]++
	}
	delete(count, "")
	best := ""
	for domain, n := range count {
		if c := cmp.Compare(n, count[best]); c > 0 || c == 0 && domain < best {
			best = domain
		}
	}
	return best
}

const scheme = "spiffe://"

// domainOf returns the trust domain of a SPIFFE ID; "" for other names.
func domainOf(id string) string {
	rest, ok := strings.CutPrefix(id, scheme)
	if !ok {
		return ""
	}
	domain, _, _ := strings.Cut(rest, "/")
	return domain
}

// name is id without what goes without saying.
func (t *tree) name(id string) string {
	if path, ok := strings.CutPrefix(id, scheme+t.domain+"/"); ok && t.domain != "" {
		return visible("/" + path)
	}
	if id == "" {
		return "unknown"
	}
	return visible(strings.TrimPrefix(id, scheme))
}

// by are the findings of r.
func (t *tree) by(r *row) []*chainaudit.Finding {
	var found []*chainaudit.Finding
	for _, i := range r.Findings {
		if i >= 0 && i < len(t.Findings) {
			found = append(found, &t.Findings[i])
		}
	}
	return found
}

// after is how long after the start of the transaction r happened, if that is known.
func (t *tree) after(r *row) (time.Duration, bool) {
	at := r.at()
	if at.IsZero() || t.Start.IsZero() {
		return 0, false
	}
	return at.Sub(t.Start), true
}

func (r *row) at() time.Time {
	switch {
	case !r.IssuedAt.IsZero():
		return r.IssuedAt
	case r.Client != nil && !r.Client.Start.IsZero():
		return r.Client.Start
	case r.Server != nil && !r.Server.Start.IsZero():
		return r.Server.Start
	case len(r.Judgements) > 0:
		return r.Judgements[0].Time
	}
	return time.Time{}
}

// mode is what the callee requires of the chain: "path", "head" or "off"; "" if unknown.
func (r *row) mode() string {
	for i := range r.Judgements {
		if r.Judgements[i].Mode != "" {
			return visible(r.Judgements[i].Mode)
		}
	}
	return ""
}

// missing says that no server has recorded the call.
func (r *row) missing() bool { return len(r.Judgements) == 0 }

const verdictGood = "verified"

// verdict says in a few words what is wrong, or how well the hop is known and what became of
// the call.
func (t *tree) verdict(r *row) string {
	for _, f := range t.by(r) {
		if f.Severity == r.worst && r.worst > chainaudit.SeverityInfo {
			return visible(string(f.Kind))
		}
	}
	switch {
	case r.Proof == chainaudit.ProofSpans:
		return "not signed"
	case r.Proof == chainaudit.ProofFailed:
		return "does not verify"
	case r.refused():
		return "refused"
	case r.Proof == chainaudit.ProofNamed && r.missing():
		return "known by hash only"
	case r.Proof == chainaudit.ProofNamed:
		return "not verified"
	case r.missing():
		return "signed, no record"
	}
	return verdictGood
}

// stray says that the caller is another workload than the one that was called before.
func (r *row) stray() bool { return r.parent != nil && r.Caller != r.parent.Callee }

// refused says that no server let the call through, and one said so.
func (r *row) refused() bool {
	return len(r.Judgements) > 0 && !slices.ContainsFunc(r.Judgements, func(j chainaudit.Judgement) bool { return j.Accepted })
}

// gravity is that of the gravest finding, or what the verdict would be as one; 0 when all is
// well.
func (r *row) gravity() chainaudit.Severity {
	switch {
	case r.worst > 0:
		return r.worst
	case r.Proof == chainaudit.ProofFailed:
		return chainaudit.SeverityAlarm
	case r.Proof == chainaudit.ProofSigned && !r.missing() && !r.refused():
		return 0
	}
	return chainaudit.SeverityInfo
}

// markOf is what s looks like; 0 is all well.
func markOf(s chainaudit.Severity) mark {
	switch {
	case s >= chainaudit.SeverityAlarm:
		return markBad
	case s == chainaudit.SeverityWarning:
		return markWarn
	case s == chainaudit.SeverityInfo:
		return markNote
	}
	return markGood
}

// word is s in a sentence.
func word(s chainaudit.Severity) string {
	if s == chainaudit.SeverityInfo {
		return "note"
	}
	return s.String()
}

// splitMethod cuts "/pkg.Service/Method" into "Service" and "Method".
func splitMethod(full string) (service, method string) {
	full = strings.TrimPrefix(visible(full), "/")
	service, method, ok := strings.Cut(full, "/")
	if !ok {
		return "", service
	}
	return service[strings.LastIndex(service, ".")+1:], method
}

// How much of a name and of a sentence is shown, in letters.
const (
	nameLetters     = 200
	sentenceLetters = 1000
)

// visible makes text one line of letters that can be seen: some of it was written by
// strangers, who might like it to look like something else. Other characters are shown as
// in Go: \n, \u202e.
func visible(text string) string { return visibleUpTo(text, nameLetters) }

func visibleUpTo(text string, limit int) string {
	var b strings.Builder
	letters := 0
	for _, r := range text {
		if letters == limit {
			b.WriteString("…")
			break
		}
		letters++
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// shortHash abbreviates a hash to what still tells two apart on a page.
func shortHash(hash string) string {
	const enough = 8
	if hash = visible(hash); len(hash) > enough && strings.IndexFunc(hash, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return hash[:enough]
	}
	return hash
}
