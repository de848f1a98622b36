package chainaudit

import (
	"context"
	"errors"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
)

// Input names the files of an audit.
type Input struct {
	// Logs are chain logs of any number of servers, in any order. Required.
	Logs []string
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
	// Keep bounds Report.Transactions; default 100, negative for none.
	Keep int
	// MaxFindings bounds Report.Findings; default 1000.
	MaxFindings int
	// Workers is how many transactions are judged at a time; default GOMAXPROCS.
	Workers int
	// TempDir is where records are sorted by transaction: about as much as the inputs have.
	// Default os.TempDir.
	TempDir string
	// Memory is how much of the inputs is held at a time, in bytes; default 64 MiB. A
	// transaction that is larger is held nevertheless.
	Memory int64
}

// Run audits. What it finds is in the Report; the error is for inputs that cannot be read.
func Run(ctx context.Context, in Input, o Options) (*Report, error) {
	return nil, errors.New("chainaudit: not built")
}
