package chainaudit

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

func TestFileThatCannotBeReadStopsTheOthers(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"endless", "broken"} {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(paths[len(paths)-1], nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken")
	err := new(sorter).readFiles(t.Context(), paths, len(paths), func(ctx context.Context, path string, _ io.Reader) error {
		if filepath.Base(path) == "broken" {
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// Whatever a transaction has many of is looked up, and not searched for.
func TestLargeTransactionIsJudgedInLinearTime(t *testing.T) {
	const many = 50_000
	q := &inquiry{
		s: &sorter{issuedGiven: true}, m: &material{txn: "large"}, t: &Transaction{ID: "large"},
		byLink: make(map[callchain.Hash]*Hop), links: make(map[callchain.Hash]callchain.Link), reported: make(map[report]bool),
	}
	for i := range many {
		number := binary.BigEndian.AppendUint64(nil, uint64(i+1))
		var hash callchain.Hash
		copy(hash[:], number)
		q.add(hash, &Hop{Caller: "a", Callee: "b", Proof: ProofFailed})
		for range 2 { // spans of the same link, of other ids than were signed
			q.m.spans = append(q.m.spans, &Span{
				TraceID: "t", SpanID: hash.String() + strconv.Itoa(len(q.m.spans)), Kind: SpanClient, Service: "a", Link: hash.String(),
			})
		}
		q.m.calls = append(q.m.calls, &judged{Call: &chainlog.Call{TokenHash: hash, Link: hash}})
		q.m.issued = append(q.m.issued, issued{Transaction: "large", Fingerprint: hash.String()})
	}
	slices.Reverse(q.m.issued)
	start := time.Now()
	q.tokens()
	q.joinSpans()
	q.finish()
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("took %v", d)
	}
	if len(q.t.Tokens) != many || len(q.t.Findings) != 2*many {
		t.Errorf("%d tokens, %d findings", len(q.t.Tokens), len(q.t.Findings))
	}
}

// A caller can sign any number of calls with one span, and servers can have as many of it.
func TestManyCallsOfOneSpanAreToldApartInLinearTime(t *testing.T) {
	const many = 100_000
	q := &inquiry{m: &material{txn: "large"}, t: &Transaction{}, reported: make(map[report]bool)}
	var hops []*Hop
	for i := range many {
		link := strconv.Itoa(i)
		hops = append(hops, &Hop{Link: link})
		q.m.spans = append(q.m.spans, &Span{TraceID: "t", SpanID: link, ParentID: "p", Kind: SpanServer, Link: link})
	}
	start := time.Now()
	j := newSpanJoin(q)
	for _, h := range hops {
		j.hop(h, spanKey{"t", "p"})
		if h.Server == nil || h.Server.Link != h.Link {
			t.Fatalf("the call of link %s was served by %+v", h.Link, h.Server)
		}
	}
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("took %v", d)
	}
	other := &Hop{Link: "another"}
	if j.hop(other, spanKey{"t", "p"}); other.Server != q.m.spans[0] {
		t.Errorf("a call that no span names was served by %+v", other.Server)
	}
}
