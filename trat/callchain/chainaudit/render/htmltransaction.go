package render

import (
	"fmt"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// transactionView is what the template gets of one transaction.
type transactionView struct {
	ID            string // of the element
	Name          string
	Open          bool
	Mark          mark
	Severities    string
	StartedBy     string
	Started, Took string
	Began         string // in one sentence: who, when and how much
	Hops          int
	Tokens        []tokenView
	Pictures      []*picture
	Findings      findingsView
	Refused       []string
	MoreRefused   int
	Rows          []rowView
	// Omitted is how many hops are not on the page.
	Omitted int
}

type tokenView struct{ Hash, Requester, IssuedAt, Note string }

// rowView is one line of the table of hops.
type rowView struct {
	ID             string
	Number, Depth  int
	Mark           mark
	Verdict        string
	Caller, Callee string
	FullCaller     string
	FullCallee     string
	Method         string
	Mode, After    string
	Link, FullLink string
	Records        []string
}

// newTransactionView is for the number-th transaction of the page.
func newTransactionView(t *chainaudit.Transaction, number int, only bool) *transactionView {
	tree := newTree(t)
	id := fmt.Sprintf("t%d", number)
	link := func(hop int) string { return fmt.Sprintf("#%sh%d", id, hop) }
	picked := tree.pick()
	v := &transactionView{
		ID: id, Name: visible(orElse(t.ID, "without an id")), Open: only || number == 1 || t.Worst() > chainaudit.SeverityInfo,
		Mark: markOf(t.Worst()), Severities: severities(severitiesOf(t)),
		StartedBy: visible(tree.startedBy()), Started: instant(t.Start), Took: duration(t.End.Sub(t.Start)),
		Began: tree.facts(), Hops: len(tree.rows), Omitted: len(tree.rows) - len(picked),
	}
	for i := range t.Tokens[:min(len(t.Tokens), maxListed)] {
		v.Tokens = append(v.Tokens, newTokenView(tree, &t.Tokens[i]))
	}
	if nodes := tree.nodes(picked); len(nodes) > 0 {
		v.Pictures = []*picture{draw(nodes, wideShape(nodes), link), draw(nodes, narrowShape(), link)}
		for _, p := range v.Pictures {
			p.ID = id + p.Class
			p.Title = "The calls of transaction " + v.Name
			p.Desc = fmt.Sprintf("%s, started by %s; %s. The table below says the same in words.", plural(v.Hops, "hop"), v.StartedBy, v.Severities)
		}
	}
	v.Findings = newFindingsView(t.Findings, id, func(i int) []hopLink {
		var links []hopLink
		for _, r := range tree.concerned[i] {
			if len(links) < maxListed && picked[r] {
				links = append(links, hopLink{r.number, link(r.number)})
			}
		}
		return links
	})
	for i := range t.Refused[:min(len(t.Refused), maxListed)] {
		v.Refused = append(v.Refused, tree.refusal(&t.Refused[i]))
	}
	v.MoreRefused = len(t.Refused) - len(v.Refused)
	for _, r := range tree.rows {
		if picked[r] {
			v.Rows = append(v.Rows, newRowView(tree, r, id))
		}
	}
	return v
}

func newTokenView(t *tree, k *chainaudit.Token) tokenView {
	v := tokenView{Hash: visible(k.Hash), Requester: t.name(k.Requester), IssuedAt: instant(k.IssuedAt)}
	if k.Anchor != "" {
		v.Note = "replaces the token before, at a checkpoint; "
	}
	v.Note += issuance(k.Issued)
	return v
}

// issuance says what is known of where a token comes from.
func issuance(i chainaudit.Issuance) string {
	switch i {
	case chainaudit.IssuanceRecorded:
		return "found in the token service's log"
	case chainaudit.IssuanceContradicted:
		return "not in the token service's log as the servers say"
	case chainaudit.IssuanceUnknown:
	}
	return "not looked up: no log of the token service was given"
}

func newRowView(t *tree, r *row, id string) rowView {
	service, method := splitMethod(r.Method)
	v := rowView{
		ID: fmt.Sprintf("%sh%d", id, r.number), Number: r.number, Depth: r.Depth, Mark: markOf(r.gravity()), Verdict: t.verdict(r),
		Caller: t.name(r.Caller), FullCaller: visible(r.Caller), Callee: t.name(r.Callee), FullCallee: visible(r.Callee),
		Method: joined(service, method), Mode: orElse(r.mode(), "–"), After: "–",
		Link: orElse(shortHash(r.Link), "–"), FullLink: visible(r.Link),
	}
	if d, ok := t.after(r); ok {
		v.After = since(d)
	}
	for i := range r.Judgements[:min(len(r.Judgements), maxListed)] {
		j := &r.Judgements[i]
		what := "accepted"
		if !j.Accepted {
			what = "refused: " + visible(orElse(j.Reason, orElse(j.Result, "no reason given")))
		}
		v.Records = append(v.Records, fmt.Sprintf("%s (%s, line %d)", what, visible(j.Log), j.Line))
	}
	return v
}
