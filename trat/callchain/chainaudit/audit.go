package chainaudit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

const (
	defaultKeep        = 100
	defaultMaxFindings = 1000
	defaultMemory      = 64 << 20
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
	logs, err := findLogs(in.Logs)
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
