package chainlog_test

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

const (
	create = "/shop.v1.Orders/Create"
	charge = "/shop.v1.Payments/Charge"
)

// read reads the log of a workload.
func read(t *testing.T, path string) ([]chainlog.Entry, chainlog.Summary) {
	t.Helper()
	files, err := chainlog.Files(path)
	if err != nil {
		t.Fatal(err)
	}
	var entries []chainlog.Entry
	sum, err := chainlog.Read(files, chainlog.ReadOptions{}, func(e *chainlog.Entry) error {
		entries = append(entries, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, sum
}

// Covers AUD-01.
func TestFileHasWhatAnAuditorNeeds(t *testing.T) {
	w := chaintest.New(t, nil)
	payments := w.Begin("gateway").Call("orders", create).Call("payments", charge)
	w.Close()
	entries, sum := read(t, w.LogPath("payments"))
	if len(sum.Damage) > 0 || !sum.Closed || sum.Calls != 1 || sum.Lost != 0 || sum.First != 1 || sum.Last != uint64(len(entries)) {
		t.Errorf("summary %+v", sum)
	}
	certificates := make(map[[32]byte][]byte)
	bundle := x509bundle.New(spiffeid.RequireTrustDomainFromString("shop.test"))
	var call *chainlog.Call
	var at time.Time
	for _, e := range entries {
		switch {
		case e.Certificate != nil:
			if certificates[e.Certificate.SHA256] != nil {
				t.Error("a certificate is there twice")
			}
			certificates[e.Certificate.SHA256] = e.Certificate.DER
		case e.Bundle != nil:
			for _, authority := range e.Bundle.Authorities {
				parsed, err := x509bundle.ParseRaw(e.Bundle.TrustDomain, certificates[authority])
				if err != nil {
					t.Fatal(err)
				}
				bundle.AddX509Authority(parsed.X509Authorities()[0])
			}
		case e.Call != nil:
			call, at = e.Call, e.Time
		}
	}
	r := payments.Record
	want := chainlog.Call{
		Server: r.Server, Peer: r.Peer, Method: charge, Mode: "path", Transaction: r.Token.TransactionID(),
		TokenHash: r.Token.Digest(), Requester: r.Token.RequestingWorkload(), IssuedAt: r.Token.IssuedAt(),
		Result: "ok", Link: r.Chain.Last().Hash(), Encoded: r.Encoded, Received: r.Received, Span: r.Span,
		Certificates: call.Certificates,
	}
	if diff := cmp.Diff(want, *call, cmp.AllowUnexported(spiffeid.ID{}), cmp.FilterPath(func(p cmp.Path) bool {
		return p.String() == "body"
	}, cmp.Ignore())); diff != "" || !at.Equal(r.Time) {
		t.Errorf("call (-want +got):\n%s", diff)
	}
	der := make([][]byte, len(call.Certificates))
	for i, hash := range call.Certificates {
		der[i] = certificates[hash]
	}
	receipt, err := call.Receipt(der)
	if err != nil || receipt != r.Chain.Receipt() {
		t.Fatalf("receipt %q, %v", receipt, err)
	}
	v, err := callchain.NewVerifier(bundle)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := v.VerifyEvidence(callchain.Evidence{
		Encoded: receipt, Audience: call.Server, TokenHash: call.TokenHash, Root: call.Requester, Anchor: call.Anchor,
		IssuedAt: call.IssuedAt, At: at,
	})
	if err != nil || chain.Len() != 2 {
		t.Errorf("evidence: %d links, %v", chain.Len(), err)
	}
	if _, err := call.Receipt(nil); err == nil {
		t.Error("a receipt without its certificates")
	}
}

// Covers PRIV-01.
func TestFileHasNoTokenAndNoChain(t *testing.T) {
	w := chaintest.New(t, nil)
	orders := w.Begin("gateway").Call("orders", create)
	w.Close()
	text := strings.Join(w.Lines("orders"), "")
	raw := orders.Token.UnsafeRaw()
	for _, secret := range append(strings.Split(raw, "."), orders.Token.Subject()) {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// Covers AUD-01.
func TestRefusedCallsAreRecorded(t *testing.T) {
	w := chaintest.New(t, nil)
	r := w.Begin("gateway").Call("orders", create).Record
	r.Chain, r.Token, r.Result, r.Reason = nil, nil, "missing", trat.ReasonChainMissing
	r.Peer, r.Encoded, r.Received, r.Span = spiffeid.ID{}, sha256.Sum256(nil), callchain.Trace{}, callchain.Trace{}
	r.Method = "/odd \"\n\x00\xff/m"
	w.Write("orders", r)
	w.Close()
	entries, sum := read(t, w.LogPath("orders"))
	last := entries[len(entries)-2].Call
	if sum.Calls != 2 || last == nil || last.Accepted() || last.HasReceipt() || last.Reason != "CHAIN_MISSING" ||
		last.Transaction != "" || !last.Peer.IsZero() || last.Method != "/odd \"\n\x00\ufffd/m" || last.Encoded != r.Encoded {
		t.Errorf("summary %+v, call %+v", sum, last)
	}
}

func TestEveryFileStandsForItself(t *testing.T) {
	w := chaintest.New(t, func(c *chainlog.FileConfig) { c.MaxSize = 20_000 })
	for range 40 {
		w.Begin("gateway").Call("orders", create)
	}
	w.Close()
	files, err := chainlog.Files(w.LogPath("orders"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files %q, %v", files, err)
	}
	total := int64(0)
	for _, file := range files {
		known := make(map[[32]byte]bool)
		bundles := 0
		sum, err := chainlog.Read([]string{file}, chainlog.ReadOptions{}, func(e *chainlog.Entry) error {
			switch {
			case e.Certificate != nil:
				known[e.Certificate.SHA256] = true
			case e.Bundle != nil:
				bundles++
			case e.Call != nil:
				for _, hash := range e.Call.Certificates {
					if !known[hash] || bundles != 1 {
						t.Errorf("%s: line %d needs another file", filepath.Base(file), e.Line)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		total += sum.Calls
		for _, d := range sum.Damage {
			if !d.Beginning {
				t.Errorf("%+v", d)
			}
		}
	}
	if _, sum := read(t, w.LogPath("orders")); total != 40 || sum.Calls != 40 || len(sum.Damage) > 0 {
		t.Errorf("%d calls, %+v", total, sum)
	}
}

func TestBundleIsWrittenWhenItHasChanged(t *testing.T) {
	w := chaintest.New(t, nil)
	for range 3 {
		w.Begin("gateway").Call("orders", create)
	}
	path := w.LogPath("orders")
	if err := w.Log("orders").Close(); err != nil {
		t.Fatal(err)
	}
	w.Rotate()
	source := w.Bundle()
	log, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: path, Server: w.ID("orders"), Bundles: source, Logger: slog.New(slog.DiscardHandler), Clock: w.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Record(t.Context(), callchain.Record{Time: w.Now(), Server: w.ID("orders"), Result: "missing", Reason: trat.ReasonChainMissing})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	entries, sum := read(t, path)
	var sizes []int
	for _, e := range entries {
		if e.Bundle != nil {
			sizes = append(sizes, len(e.Bundle.Authorities))
		}
	}
	if diff := cmp.Diff([]int{1, 2}, sizes); diff != "" || len(sum.Damage) > 0 {
		t.Errorf("authorities of the bundles: %s%v", diff, sum.Damage)
	}
}

// stuck is a source of bundles that waits.
type stuck struct {
	x509bundle.Source
	let chan struct{}
}

func (s stuck) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	<-s.let
	return s.Source.GetX509BundleForTrustDomain(td)
}

// Covers AUD-03.
func TestFullQueueLosesRecordsAndSaysSo(t *testing.T) {
	w := chaintest.New(t, nil)
	r := w.Begin("gateway").Call("orders", create).Record
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "chain.jsonl")
		let := make(chan struct{})
		var op strings.Builder
		log, err := chainlog.OpenFile(chainlog.FileConfig{
			Path: path, Server: w.ID("orders"), Bundles: stuck{w.Bundle(), let}, Queue: 4,
			Logger: slog.New(slog.NewTextHandler(&op, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		log.Record(t.Context(), r)
		synctest.Wait() // the writer has it, and waits
		for range 10 {
			log.Record(t.Context(), r) // returns, or the test ends in a deadlock
		}
		if log.Lost() != 6 {
			t.Errorf("%d lost, want 6", log.Lost())
		}
		close(let)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		log.Record(t.Context(), r)
		if err := log.Close(); err != nil || log.Lost() != 7 {
			t.Errorf("after Close: %d lost, %v", log.Lost(), err)
		}
		_, sum := read(t, path)
		if sum.Calls != 5 || sum.Lost != 6 || len(sum.Damage) > 0 || !sum.Closed {
			t.Errorf("summary %+v", sum)
		}
		if !strings.Contains(op.String(), "chain log loses records") {
			t.Errorf("said:\n%s", &op)
		}
	})
}

func TestConcurrentRecordsAreAllWritten(t *testing.T) {
	w := chaintest.New(t, nil)
	r := w.Begin("gateway").Call("orders", create).Record
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				w.Log("orders").Record(t.Context(), r)
			}
		})
	}
	group.Wait()
	w.Close()
	if _, sum := read(t, w.LogPath("orders")); sum.Calls != 801 || sum.Lost != 0 || len(sum.Damage) > 0 {
		t.Errorf("summary %+v", sum)
	}
}

// Covers AUD-03.
func TestTornLastLineIsDeclared(t *testing.T) {
	w := chaintest.New(t, nil)
	orders := w.Begin("gateway").Call("orders", create)
	w.Close()
	lines := w.Lines("orders")
	last := len(lines) - 1
	w.SetLines("orders", append(lines[:last:last], lines[last-1][:60]))
	if _, sum := read(t, w.LogPath("orders")); len(sum.Damage) != 1 || sum.Closed || sum.Calls != 1 {
		t.Errorf("torn: %+v", sum)
	}
	log, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: w.LogPath("orders"), Server: w.ID("orders"), Bundles: w.Bundle(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Record(t.Context(), orders.Record)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, sum := read(t, w.LogPath("orders")); len(sum.Damage) != 0 || sum.Torn != 1 || !sum.Closed || sum.Calls != 2 {
		t.Errorf("declared: %+v", sum)
	}
}

func TestOpenFileRefuses(t *testing.T) {
	_, err := chainlog.OpenFile(chainlog.FileConfig{Queue: -1, Key: []byte{1}})
	for _, want := range []string{
		"Path is required", "Logger is required", "Server is required", "Bundles is required", "Queue is out of range", "Key has fewer than 32 bytes",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	w := chaintest.New(t, nil)
	w.Workload("orders")
	if _, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: w.LogPath("orders"), Server: w.ID("orders"), Bundles: w.Bundle(), Logger: slog.New(slog.DiscardHandler),
	}); err == nil || !strings.Contains(err.Error(), "another process writes this log") {
		t.Errorf("error %v", err)
	}
	if err := os.WriteFile(w.LogPath("other"), []byte("root:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: w.LogPath("other"), Server: w.ID("other"), Bundles: w.Bundle(), Logger: slog.New(slog.DiscardHandler),
	}); err == nil {
		t.Error("another file is taken for a log")
	}
}

func BenchmarkRecord(b *testing.B) {
	w := chaintest.New(b, func(c *chainlog.FileConfig) { c.Queue = 1 << 20 })
	r := w.Begin("gateway").Call("orders", create).Call("payments", charge).Record
	log := w.Log("payments")
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		log.Record(ctx, r)
	}
}
