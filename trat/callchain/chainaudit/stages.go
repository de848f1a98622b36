package chainaudit

import (
	"context"
	"errors"
	"hash/maphash"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

const (
	// expansion is how much more memory a transaction takes than its lines.
	expansion = 8
	// maxPartitions bounds the temporary files for transactions, maxIndexes those of each
	// other kind: all are open at once.
	maxPartitions = 256
	maxIndexes    = 32
)

// Kinds of frames in the spool of transactions.
const (
	frameCall = iota
	frameSpan
	frameIssued
)

// sorter is one audit: it brings the inputs into the order of transactions, and judges those.
type sorter struct {
	key          chainlog.Key
	logs         []*chainLog
	bundles      *bundles
	certificates *certificates
	// transactions has calls, spans and issued tokens by txn; links where the calls are, by
	// their link; traces the transactions, and spans the spans, by trace id.
	transactions, links, traces, spans *spool.Spool

	issuedGiven bool // there is a log of the token service

	noted noted

	mu     sync.Mutex
	counts Counts
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
	c := &collector{keep: o.Keep, each: o.Each, report: &Report{Kinds: make(map[Kind]int64), BundlesFrom: BundlesFromLogs, SpansGiven: len(in.Traces) > 0}}
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
