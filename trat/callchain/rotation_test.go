package callchain

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// rotate gives the source a new X.509-SVID of the same workload.
func (w *world) rotate(source *svidSource, path string) *workload {
	w.tb.Helper()
	next := w.authority.svid(w.tb, w.id(path), newKey(w.tb), nil)
	source.set(next)
	return next
}

// crowded makes s believe that no caller is alone, for longer than a test takes.
func crowded(s *Signer) *Signer {
	s.queue.company = time.Now().Add(time.Hour)
	return s
}

// While X.509-SVIDs rotate under load, calls go on over a connection that was made with the
// first of them: every link is signed by a key and carries the leaf that belongs to it.
//
// Covers KEY-07, B-T12.
func TestCallsGoOnWhileSVIDsRotate(t *testing.T) {
	const callers, calls, rotations = 16, 30, 20
	w := newWorld(t)
	first := w.workload("gateway")
	source := newSVIDSource(first)
	s := crowded(w.signerOf(source, WithSignatureRate(200))) // so links wait while the key changes
	orders := crowded(w.signer(w.workload("orders"), WithSignatureRate(200)))
	token := w.token("gateway", Hash{})

	var leaves sync.Map // hashes of the leaves that have signed
	var shared atomic.Int64
	var load sync.WaitGroup
	for range callers {
		load.Go(func() {
			for range calls {
				signed, err := s.SignLink(t.Context(), w.draft("orders", token, nil))
				if err != nil {
					t.Error(err)
					return
				}
				leaves.Store(signed.Link().LeafHash(), true)
				if signed.own.path.levels() > 0 {
					shared.Add(1)
				}
				chain, err := w.accept(signed, token, first)
				if err != nil {
					t.Error(err)
					return
				}
				// The certificate goes on with the chain.
				next, err := orders.SignLink(t.Context(), w.draft("stock", token, chain))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := w.accept(next, token, w.workload("orders")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range rotations {
		w.rotate(source, "gateway")
		// The next rotation comes when this one has been seen.
		if _, err := s.SignLink(t.Context(), w.draft("orders", token, nil)); err != nil {
			t.Error(err)
		}
	}
	load.Wait()

	n := 0
	leaves.Range(func(any, any) bool { n++; return true })
	if n < 2 || shared.Load() == 0 {
		t.Errorf("%d leaves have signed, %d links in groups: nothing was tested", n, shared.Load())
	}
}

// onceSource answers once for each signature that is due, and each time with another SVID.
type onceSource struct {
	*world
	answers atomic.Int64
}

func (s *onceSource) GetX509SVID() (*x509svid.SVID, error) {
	s.answers.Add(1)
	source := svidSource{}
	source.set(s.authority.svid(s.tb, s.id("gateway"), newKey(s.tb), nil))
	return source.GetX509SVID()
}

// Key, leaf and ID of a signature come from one answer of the source.
//
// Covers KEY-07.
func TestSignatureTakesOneAnswerOfTheSource(t *testing.T) {
	w := newWorld(t)
	source := &onceSource{world: w}
	s := w.signerOf(source)
	token := w.token("gateway", Hash{})
	source.answers.Store(0)
	for i := range 10 {
		signed, err := s.SignLink(t.Context(), w.draft("orders", token, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.accept(signed, token, w.workload("gateway")); err != nil {
			t.Error(err)
		}
		if n := source.answers.Load(); n != int64(i+1) {
			t.Fatalf("%d answers for %d signatures", n, i+1)
		}
	}
}

// The source fails for a while under load: nobody gets half of anything.
func TestSourceThatFailsForAWhileLosesNoOtherLink(t *testing.T) {
	w := newWorld(t)
	source := newSVIDSource(w.workload("gateway"))
	s := crowded(w.signerOf(source, WithSignatureRate(200)))
	token := w.token("gateway", Hash{})
	var load sync.WaitGroup
	failed := make(chan error, 8*100)
	for i := range 8 {
		load.Go(func() {
			for j := range 100 {
				switch {
				case i == 0 && j%10 == 0:
					source.set(nil)
				case i == 0:
					source.set(w.workload("gateway"))
				}
				signed, err := s.SignLink(t.Context(), w.draft("orders", token, nil))
				if err != nil {
					failed <- err
					continue
				}
				if _, err := w.accept(signed, token, w.workload("gateway")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	load.Wait()
	close(failed)
	for err := range failed {
		if !errors.Is(err, errNoAnswer) {
			t.Error(err)
		}
	}
}

// Many callers, many parents, one signer: each gets the link of its own call.
func TestConcurrentCallersGetTheirOwnLinks(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	parents := []*Chain{w.chain(token, "a", "orders"), w.chain(token, "a", "b", "orders"), w.chain(token, "a", "b", "c", "orders")}
	s := crowded(w.signer(w.workload("orders"), WithSignatureRate(1000), WithMaxGroup(16)))
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for j := range 10 {
				parent := parents[(i+j)%len(parents)]
				draft := w.draft("stock", token, parent)
				draft.Method = fmt.Sprintf("/shop.v1.Stock/Method%d", i)
				draft.Trace = Trace{TraceID: [16]byte{1}, SpanID: [8]byte{byte(i + 1), byte(j)}}
				signed, err := s.SignLink(t.Context(), draft)
				if err != nil {
					t.Error(err)
					return
				}
				if l := signed.Link(); l.Method() != draft.Method || l.Trace() != draft.Trace || l.Parent() != parent.Last().Hash() {
					t.Errorf("link of another call: %s", l.Method())
				}
				if n := signed.own.path.levels(); n > 4 {
					t.Errorf("a path of %d levels in a group of at most 16", n)
				}
				if _, err := w.accept(signed, token, w.workload("orders")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
}
