package interceptors_test

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// memoryLog keeps what it gets.
type memoryLog struct {
	mu      sync.Mutex
	records []callchain.Record
}

func (l *memoryLog) Record(_ context.Context, r callchain.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
}

// take returns the records since the last take.
func (l *memoryLog) take() []callchain.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := l.records
	l.records = nil
	return records
}

// The log has every call whose chain was judged, with the verdict and with what was
// verified of it. A call that was refused before, or whose method is exempt, has none.
func TestTheChainLogHasEveryJudgedCall(t *testing.T) {
	d := trattest.New(t, domainName)
	s, log := newSinks(), &memoryLog{}
	g := guardOf(t, d, "stocks", interceptors.Rules{
		wholeService:               interceptors.Require("test"),
		service + "HalfDuplexCall": interceptors.Exempt("the test says so"),
	}, interceptors.WithChainLog(log))
	addr := serveAs(t, d, "stocks", g, &backend{}, s.serverOption())
	client := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders"), s.dialOption())
	raw := dial(t, addr, d.ClientCredentials("orders", d.Members()))
	for _, k := range kinds() {
		ctx := d.ChainContext(callContext(t), []string{"gateway"}, "orders", k.method)
		if err := k.call(ctx, client); err != nil {
			t.Fatal(err)
		}
		token, _ := trat.FromContext(ctx)
		records := log.take()
		if len(records) != 1 {
			t.Fatalf("%s: %d records", k.name, len(records))
		}
		r := records[0]
		if r.Server != d.ID("stocks") || r.Peer != d.ID("orders") || r.Method != k.method || r.Mode != callchain.ModePath ||
			r.Result != "ok" || r.Reason != "" || !r.Time.Equal(d.Now()) || r.Token.Digest() != token.Digest() || r.Chain.Len() != 2 {
			t.Errorf("%s: record %+v", k.name, r)
		}
		if r.Received.IsZero() || r.Received != r.Chain.Last().Trace() || r.Span.TraceID != r.Received.TraceID || r.Span.SpanID == r.Received.SpanID {
			t.Errorf("%s: received %x, own span %x", k.name, r.Received, r.Span)
		}

		good := d.RawChain(token, []string{"gateway", "orders"}, "stocks", k.method)
		sent := withChain(callContext(t), token, good)
		if err := k.call(sent, raw); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, k.call(sent, raw), trat.ReasonChainReplayed)
		wantRefusal(t, k.call(withChain(callContext(t), token), raw), trat.ReasonChainMissing)
		wantRefusal(t, k.call(withToken(callContext(t), "x"), raw), trat.ReasonTxnTokenMalformed)
		records = log.take()
		if len(records) != 3 {
			t.Fatalf("%s: %d records of four calls, one of them with a bad token", k.name, len(records))
		}
		first, again, missing := records[0], records[1], records[2]
		if again.Result != "replayed" || again.Reason != trat.ReasonChainReplayed || again.Chain.Last().Hash() != first.Chain.Last().Hash() ||
			first.Encoded != sha256.Sum256([]byte(good)) || again.Encoded != first.Encoded {
			t.Errorf("%s: record of the same bytes %+v", k.name, again)
		}
		if missing.Result != "missing" || missing.Chain != nil || missing.Encoded != [32]byte{} || missing.Token.Digest() != token.Digest() {
			t.Errorf("%s: record of a missing chain %+v", k.name, missing)
		}
	}
	stream, err := raw.HalfDuplexCall(callContext(t))
	if err == nil {
		_, err = stream.Recv() // not implemented
	}
	if records := log.take(); err == nil || len(records) != 0 {
		t.Errorf("%d records of an exempt method, whose answer was %v", len(records), err)
	}
}
