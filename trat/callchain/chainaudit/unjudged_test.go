package chainaudit_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/render"
)

// A transaction of which no server has a record is shown as what it is, and not counted as
// one that was audited.
func TestTransactionsWithoutARecordAreNotAudited(t *testing.T) {
	w := chaintest.New(t, nil)
	order(w)
	w.Begin("gateway") // a token that nobody used
	w.Begin("gateway").Call("orders", create, unrecorded)
	r := audit(t, w)
	if r.Counts.Transactions != 1 || r.Counts.CleanTransactions != 1 || r.Counts.Unjudged != 2 || len(r.Transactions) != 3 {
		t.Fatalf("%+v", r.Counts)
	}
	known := make(map[chainaudit.Knowledge]int)
	for _, x := range r.Transactions {
		known[x.KnownFrom]++
		var text, json bytes.Buffer
		if err := render.NewTextWriter(&text).Transaction(x); err != nil {
			t.Fatal(err)
		}
		if err := render.NewJSONWriter(&json).Transaction(x); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(json.String(), "null") || strings.Contains(json.String(), "0001-01-01") {
			t.Errorf("%s", &json)
		}
		if len(x.Tokens) != 1 || x.Tokens[0].Requester != "spiffe://shop.test/gateway" || !strings.Contains(text.String(), "started by spiffe://shop.test/gateway") {
			t.Errorf("tokens %+v\n%s", x.Tokens, &text)
		}
		if x.KnownFrom != chainaudit.KnownFromRecords && !strings.Contains(text.String(), "no chain was judged") {
			t.Errorf("%s", &text)
		}
	}
	if known[chainaudit.KnownFromSpans] != 1 || known[chainaudit.KnownFromIssuance] != 1 {
		t.Errorf("%v", known)
	}
}

func TestRecordsThatNoTransactionGotAreCounted(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("orders", create)
	w.Begin("gateway").Call("orders", create)
	edit(t, w, "orders", true, func(lines []string) []string {
		i := lineOf(t, lines, create, 0)
		lines[i] = strings.Replace(lines[i], create, charge, 1)
		return lines
	})
	r := run(t, chainaudit.Input{Logs: []string{w.LogPath("orders")}}, chainaudit.Options{})
	if l := r.Logs[0]; l.Records != 2 || l.Unused != 1 {
		t.Errorf("%+v", l)
	}
	var text bytes.Buffer
	if err := render.NewTextWriter(&text).Summary(r); err != nil || !strings.Contains(text.String(), "2 records, 1 not used, of spiffe://shop.test/orders") {
		t.Errorf("%v\n%s", err, &text)
	}
}
