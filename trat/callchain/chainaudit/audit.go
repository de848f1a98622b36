package chainaudit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"golang.org/x/sync/errgroup"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

const (
	defaultKeep        = 100
	defaultMaxFindings = 1000
	defaultMemory      = 64 << 20
	// expansion is how much more memory a transaction takes than its lines.
	expansion = 8
	// maxPartitions bounds the temporary files for transactions, maxIndexes those of each
	// other kind: all are open at once.
	maxPartitions = 256
	maxIndexes    = 32
)

// Input names the files of an audit.
type Input struct {
	// Logs are chain logs of any number of servers, in any order. Rotated files beside them
	// belong to them; they may be given one by one, too. Required.
	Logs []string
	// Key is what the lines of the logs are chained with, if they are with a key.
	Key chainlog.Key
	// Traces are trace exports: JSON lines as the OpenTelemetry Collector's file exporter
	// writes them.
	Traces []string
	// Issued are audit logs of the token service. Nil: which tokens were issued is unknown.
	Issued []string
	// Bundles are what certificates are held to. Nil: the bundles that the servers say they
	// trusted at the time, so that a server that lies about them is believed.
	Bundles x509bundle.Source
}

// Options tune an audit. The zero value has every default.
type Options struct {
	// Each gets every transaction, one at a time, as soon as it was judged; an error ends
	// the audit. It may keep what it gets.
	Each func(*Transaction) error
	// Transaction, if not empty, is the id of the only transaction to judge and to count. The
	// inputs are read as a whole, and Report.Logs and Report.Findings are about all of them.
	// If there is no such transaction, Counts.Transactions is 0.
	Transaction string
	// Keep bounds Report.Transactions; default 100, negative for none.
	Keep int
	// MaxFindings bounds Report.Findings; default 1000.
	MaxFindings int
	// Workers is how many partitions are worked on at a time; default GOMAXPROCS.
	Workers int
	// TempDir is where records are sorted by transaction: about as much as the inputs have.
	// Default os.TempDir.
	TempDir string
	// Memory is how much of the inputs is held as values at a time, about, in bytes; default
	// 64 MiB. A transaction that is larger is held nevertheless.
	Memory int64
}

// complete fills the defaults in and returns every problem.
func (o *Options) complete(in *Input) error {
	var problems []error
	add := func(bad bool, text string) {
		if bad {
			problems = append(problems, errors.New("chainaudit: "+text))
		}
	}
	add(len(in.Logs) == 0, "Input.Logs is required")
	add(o.MaxFindings < 0, "Options.MaxFindings is negative")
	add(o.Workers < 0, "Options.Workers is negative")
	add(o.Memory < 0, "Options.Memory is negative")
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	o.Keep = max(0, o.Keep)
	if o.MaxFindings == 0 {
		o.MaxFindings = defaultMaxFindings
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	return errors.Join(problems...)
}

// Run audits. What it finds is in the Report; the error is for inputs that cannot be read
// and for Options that make no sense.
func Run(ctx context.Context, in Input, o Options) (_ *Report, err error) {
	if err := o.complete(&in); err != nil {
		return nil, err
	}
	logs, err := gather(in.Logs)
	if err != nil {
		return nil, fmt.Errorf("chainaudit: %w", err)
	}
	dir, err := os.MkdirTemp(o.TempDir, "chainaudit-")
	if err != nil {
		return nil, fmt.Errorf("chainaudit: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newSorter(dir, logs, &in, &o)
	if err != nil {
		return nil, fmt.Errorf("chainaudit: %w", err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report, err := s.run(ctx, &in, &o)
	if err != nil {
		return nil, fmt.Errorf("chainaudit: %w", err)
	}
	return report, nil
}

// newSorter makes the temporary files.
func newSorter(dir string, logs []*chainLog, in *Input, o *Options) (*sorter, error) {
	size, err := sizeOf(logs, in)
	if err != nil {
		return nil, err
	}
	n := int(min(maxPartitions, 1+size*expansion*int64(o.Workers)/o.Memory))
	s := &sorter{
		key: in.Key, logs: logs, noted: noted{limit: o.MaxFindings}, issuedGiven: len(in.Issued) > 0,
		certificates: &certificates{places: make(map[[32]byte]place)},
	}
	s.bundles = &bundles{certificates: s.certificates, known: make(map[[32]byte]uint64), seen: make(map[sighting]time.Time), domains: make(map[sighting]bool), verifiers: make(map[uint64]*callchain.Verifier)}
	if in.Bundles != nil {
		if s.bundles.given, err = callchain.NewVerifier(in.Bundles, callchain.WithCacheSize(verifierCache)); err != nil {
			return nil, err
		}
	}
	seed := maphash.MakeSeed()
	for _, k := range [...]struct {
		to    **spool.Spool
		name  string
		parts int
	}{{&s.transactions, "transactions", n}, {&s.links, "links", min(n, maxIndexes)}, {&s.traces, "traces", min(n, maxIndexes)}, {&s.spans, "spans", min(n, maxIndexes)}} {
		if *k.to, err = spool.New(dir, k.name, k.parts, seed); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.certificates.file, err = os.OpenFile(filepath.Join(dir, "certificates"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in a directory of our own
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// sizeOf is how many bytes the inputs have.
func sizeOf(logs []*chainLog, in *Input) (size int64, err error) {
	paths := append(append([]string(nil), in.Traces...), in.Issued...)
	for _, l := range logs {
		paths = append(paths, l.paths...)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	return size, nil
}

func (s *sorter) close() error {
	var errs []error
	for _, sorted := range [...]*spool.Spool{s.transactions, s.links, s.traces, s.spans} {
		if sorted != nil {
			errs = append(errs, sorted.Close())
		}
	}
	if s.certificates.file != nil {
		errs = append(errs, s.certificates.file.Close())
	}
	return errors.Join(errs...)
}

// run sorts the inputs and then judges partition by partition.
func (s *sorter) run(ctx context.Context, in *Input, o *Options) (*Report, error) {
	if err := s.readLogs(ctx, o.Workers); err != nil {
		return nil, err
	}
	if err := errors.Join(s.traces.Seal(), s.links.Seal(), s.readTraces(ctx, in.Traces, o.Workers), s.spans.Seal()); err != nil {
		return nil, err
	}
	if err := errors.Join(s.joinTraces(ctx, o.Workers), s.readIssued(ctx, in.Issued, o.Workers), s.transactions.Seal()); err != nil {
		return nil, err
	}
	c := &collector{keep: o.Keep, each: o.Each, report: &Report{Kinds: make(map[Kind]int64), BundlesFrom: BundlesFromLogs}}
	if in.Bundles != nil {
		c.report.BundlesFrom = BundlesGiven
	}
	if err := s.judgeAll(ctx, o, c); err != nil {
		return nil, err
	}
	c.report.Counts.read(&s.counts)
	c.inputs(s, o.MaxFindings)
	return c.report, nil
}

// judgeAll judges several partitions at a time.
func (s *sorter) judgeAll(ctx context.Context, o *Options, c *collector) error {
	done := make(chan *Transaction, o.Workers)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for t := range done {
			if err := c.transaction(t); err != nil {
				return err // which ends the judges
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(done)
		judges, ctx := errgroup.WithContext(ctx)
		judges.SetLimit(o.Workers)
		for partition := range s.transactions.Parts() {
			if o.Transaction == "" || partition == s.transactions.Of(o.Transaction) {
				judges.Go(func() error { return s.judgePartition(ctx, partition, o.Transaction, done) })
			}
		}
		return judges.Wait()
	})
	return group.Wait()
}

// judgePartition judges the transactions of a partition; if only is not empty, that one alone,
// and then the counts of the inputs are those of this one, too.
func (s *sorter) judgePartition(ctx context.Context, partition int, only string, done chan<- *Transaction) error {
	all, err := s.load(partition)
	if err != nil {
		return err
	}
	if only != "" {
		all = slices.DeleteFunc(all, func(m *material) bool { return m.txn != only })
		s.counts = Counts{}
		for _, m := range all {
			s.counts = m.counts()
		}
	}
	for i, m := range all {
		all[i] = nil
		t, err := s.judge(m)
		if err != nil {
			return err
		}
		select {
		case done <- t:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
