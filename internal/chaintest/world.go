// Package chaintest makes transactions with call chains, without a network, for the tests of
// what records and audits them: workloads with real keys and logs, and the spans that they
// would export.
package chaintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// World is a trust domain with workloads that call each other. Methods may be called
// concurrently.
type World struct {
	tb        testing.TB
	dir       string
	domain    spiffeid.TrustDomain
	authority *devauthority.Authority
	tokens    *trat.Signer
	verifier  *trat.Verifier
	config    func(*chainlog.FileConfig)

	mu        sync.Mutex
	now       time.Time
	workloads map[string]*Workload
	spans     []Span
	issued    []string
}

// Workload is one of them.
type Workload struct {
	ID       spiffeid.ID
	signer   *callchain.Signer
	verifier *callchain.Verifier
	source   *devauthority.Source
	log      *chainlog.File
}

const issuer = "https://tts.shop.test"

// New returns a world that ends with the test. config, if not nil, may change how logs are
// written.
func New(tb testing.TB, config func(*chainlog.FileConfig)) *World {
	tb.Helper()
	w := &World{
		tb: tb, dir: tb.TempDir(), domain: spiffeid.RequireTrustDomainFromString("shop.test"), config: config,
		now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), workloads: make(map[string]*Workload),
	}
	var err error
	w.authority, err = devauthority.New(w.domain, devauthority.WithClock(w.Now), devauthority.WithSVIDLifetime(time.Hour))
	w.check(err)
	tb.Cleanup(func() { _ = w.authority.Close() })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.check(err)
	w.tokens, err = trat.NewSigner(key, trat.ES256)
	w.check(err)
	keys, err := trat.NewStaticKeySet(w.tokens.Key())
	w.check(err)
	w.verifier, err = trat.NewVerifier(w.domain.Name(), issuer, keys, trat.WithClock(w.Now))
	w.check(err)
	return w
}

func (w *World) check(err error) {
	if err != nil {
		w.tb.Helper()
		w.tb.Fatal(err)
	}
}

// Now is the world's time.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Advance moves the clock.
func (w *World) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// Rotate gives every workload a new certificate, from a new authority that all trust
// besides the old one.
func (w *World) Rotate() {
	w.check(w.authority.RotateCA())
	w.authority.Rotate()
}

// Bundle is what is trusted now.
func (w *World) Bundle() *x509bundle.Bundle { return w.authority.Bundle() }

// ID is that of the workload with a name.
func (w *World) ID(name string) spiffeid.ID {
	return spiffeid.RequireFromPath(w.domain, "/"+name)
}

// Workload returns the workload with a name. Its log is begun with it.
func (w *World) Workload(name string) *Workload {
	w.mu.Lock()
	known := w.workloads[name]
	w.mu.Unlock()
	if known != nil {
		return known
	}
	id := w.ID(name)
	source := w.authority.Source(id)
	x := &Workload{ID: id, source: source}
	var err error
	x.signer, err = callchain.NewSigner(source, callchain.WithClock(w.Now))
	w.check(err)
	x.verifier, err = callchain.NewVerifier(source, callchain.WithClock(w.Now))
	w.check(err)
	w.open(name, x)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workloads[name] = x
	return x
}

// open begins the log of a workload, or goes on with it.
func (w *World) open(name string, x *Workload) {
	w.tb.Helper()
	config := chainlog.FileConfig{
		Path: w.LogPath(name), Logger: slog.New(slog.DiscardHandler), Bundles: x.source, Server: x.ID, Clock: w.Now,
	}
	if w.config != nil {
		w.config(&config)
	}
	log, err := chainlog.OpenFile(config)
	w.check(err)
	x.log = log
	w.tb.Cleanup(func() { _ = log.Close() })
}

// Restart closes the log of a workload, with all that waits to be written, and opens it
// again. Nothing may be recorded meanwhile.
func (w *World) Restart(name string) {
	w.tb.Helper()
	x := w.Workload(name)
	w.check(x.log.Close())
	w.open(name, x)
}

// Log returns the log of the workload with a name.
func (w *World) Log(name string) *chainlog.File { return w.Workload(name).log }

// LogPath is where the workload with a name writes.
func (w *World) LogPath(name string) string { return filepath.Join(w.dir, name+".jsonl") }

// Close closes all logs and returns their paths.
func (w *World) Close() []string {
	w.mu.Lock()
	workloads := maps.Clone(w.workloads)
	w.mu.Unlock()
	var paths []string
	for name, x := range workloads {
		if err := x.log.Close(); err != nil {
			w.tb.Error(err)
		}
		paths = append(paths, w.LogPath(name))
	}
	return paths
}
