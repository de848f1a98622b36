package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// edge is one call of a transaction: from a workload to another, because of an earlier
// call.
type edge struct{ because, from, to int }

// tree is the calls of every transaction: a service that asks three, one of which asks
// others, four calls deep.
var tree = []edge{
	{-1, 0, 1}, {0, 1, 2}, {0, 1, 3}, {0, 1, 4}, {1, 2, 5}, {1, 2, 6}, {1, 2, 3}, {6, 3, 5}, {6, 3, 6}, {6, 3, 4},
}

// writeLogs writes what the servers of that many transactions record: one log for each.
func writeLogs(dir string, transactions int) (logs []string, err error) {
	w, err := newChainWorld(callchain.WithSignatureRate(1e6)) // every link alone, the worst case
	if err != nil {
		return nil, err
	}
	defer w.stop()
	sinks := make([]*chainlog.File, len(w.actors))
	for i, a := range w.actors[1:] {
		path := filepath.Join(dir, fmt.Sprintf("server-%d.jsonl", i+1))
		sinks[i+1], err = chainlog.OpenFile(chainlog.FileConfig{
			Path: path, Logger: slog.New(slog.DiscardHandler), Server: a.id, Bundles: a.source,
			Queue: len(tree) * transactions,
		})
		if err != nil {
			return nil, err
		}
		logs = append(logs, path)
	}
	errs := make([]error, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for n := i; n < transactions && errs[i] == nil; n += len(errs) {
				errs[i] = w.record(sinks)
			}
		})
	}
	group.Wait()
	for _, sink := range sinks[1:] {
		errs = append(errs, sink.Close())
		if sink.Lost() > 0 {
			errs = append(errs, errors.New("a log has lost records"))
		}
	}
	return logs, errors.Join(errs...)
}

// record makes all calls of a transaction, and has each server record its own.
func (w *chainWorld) record(sinks []*chainlog.File) error {
	token, err := w.tokenOf(w.actors[0].id)
	if err != nil {
		return err
	}
	chains := make([]*callchain.Chain, len(tree))
	for i, e := range tree {
		var parent *callchain.Chain
		if e.because >= 0 {
			parent = chains[e.because]
		}
		from, to := w.actors[e.from], w.actors[e.to]
		encoded, err := from.call(to, token, parent, callchain.ModePath)
		if err != nil {
			return err
		}
		if chains[i], err = to.verifier.Verify(to.received(from, token, encoded, callchain.ModePath)); err != nil {
			return err
		}
		sinks[e.to].Record(context.Background(), recordOf(from, to, token, chains[i], encoded))
	}
	return nil
}

// recordOf is what a server records of a call that it accepts.
func recordOf(from, to *actor, token *trat.Token, chain *callchain.Chain, encoded string) callchain.Record {
	trace := chain.Last().Trace()
	span := trace
	span.SpanID[0]++
	return callchain.Record{
		Time: time.Now(), Server: to.id, Peer: from.id, Method: chainMethod, Mode: callchain.ModePath,
		Token: token, Chain: chain, Encoded: sha256.Sum256([]byte(encoded)), Result: "ok", Received: trace, Span: span,
	}
}
