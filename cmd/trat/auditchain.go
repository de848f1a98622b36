package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/render"
)

const auditHelp = `audit rebuilds transactions from the chain logs of the servers that took part, long
after they are over: who called whom, with every signature checked as of its time.
What does not fit together is a finding: an alarm, a warning (which can have an
innocent cause, such as a lost record) or a note.

Give it the logs of all servers and all their replicas: a server that called on has
received a call, and its record or its log is missed. A call that ended with a server
whose log is not there, or no longer has it, shows only in spans. With --spans it
compares the calls with what a tracing backend knows, in files that the OpenTelemetry
Collector's file exporter has written; without, it says what it cannot see. Rotated
files beside a log are found and belong to it, and lock files are passed over. With --issuance-log it looks every
token up in the audit log of the token service. Certificates are held to the bundles of
--bundle; without it, to those that the servers say they trusted at the time, and it
says so: a server that lies about that can make up calls.

It prints a tree for each transaction as soon as it was judged, and a summary at the
end. --html writes a page with pictures that needs no network and can be sent to
somebody who has never seen this tool.

Exit status: 0 everything fits together, 3 there are alarms or warnings, 1 something
could not be read or there is nothing to audit, 2 wrong use.`

const auditExample = `  trat audit orders.jsonl payments-*.jsonl
  trat audit *.jsonl --spans traces.json --issuance-log /var/log/tratd/audit.log \
    --bundle shop.test=bundle.pem --html report.html
  trat audit *.jsonl --findings-only --output json | jq -r '.findings[]?.text'`

// auditor is chainaudit.Run.
type auditor func(context.Context, chainaudit.Input, chainaudit.Options) (*chainaudit.Report, error)

// auditOptions are the flags of `trat audit`.
type auditOptions struct {
	spans        []string // names of files
	issued       []string // names of files
	bundles      []string // each a trust domain and the name of a file
	keyFile      string
	html         string
	transaction  string
	findingsOnly bool
	format       output

	audit auditor
}

func newAudit(audit auditor) *cobra.Command {
	o := auditOptions{audit: audit}
	cmd := &cobra.Command{
		Use:     "audit CHAINLOG...",
		Short:   "Rebuild and check transactions from the records of servers",
		Long:    auditHelp,
		Example: auditExample,
		Args:    files("one CHAINLOG or more", 1, math.MaxInt),
		RunE:    o.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.spans, "spans", nil, "`file` with spans, as the OpenTelemetry Collector's file exporter writes them; repeatable")
	f.StringArrayVar(&o.issued, "issuance-log", nil, "`file` with the audit log of the token service; repeatable")
	f.StringArrayVar(&o.bundles, "bundle", nil, "trust domain and `file` with its bundle, DOMAIN=FILE, PEM or SPIFFE JSON; repeatable")
	f.StringVar(&o.keyFile, "key-file", "", "`file` with the key of the logs' chains, 64 hexadecimal digits")
	f.StringVar(&o.html, "html", "", "`file` for a page with pictures")
	f.StringVar(&o.transaction, "transaction", "", "`id` of the only transaction to show and to judge")
	f.BoolVar(&o.findingsOnly, "findings-only", false, "print transactions with findings only")
	addOutput(cmd, &o.format)
	noFiles(cmd, "transaction")
	cmd.AddCommand(newVerifyLog())
	return cmd
}

// run audits, printing on the way.
func (o *auditOptions) run(cmd *cobra.Command, logs []string) (err error) {
	if slices.Contains(slices.Concat(logs, o.spans, o.issued), stdinName) {
		return usageError{errors.New("audit reads files by their names, and not standard input")}
	}
	in := chainaudit.Input{Logs: logs, Traces: o.spans, Issued: o.issued}
	if in.Bundles, err = readBundles(cmd, o.bundles); err != nil {
		return err
	}
	if o.keyFile != "" {
		key, err := config.ReadKey(o.keyFile)
		if err != nil {
			return fmt.Errorf("--key-file: %w", err)
		}
		in.Key = key.Bytes()
	}
	page, err := o.page()
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	defer page.discard()
	out := o.writer(cmd.OutOrStdout())
	report, err := o.audit(cmd.Context(), in, o.options(out))
	if err != nil {
		return err
	}
	if o.transaction != "" && report.Counts.Transactions+report.Counts.Unjudged == 0 {
		return fmt.Errorf("there is no transaction %q in these logs", o.transaction)
	}
	if err := out.Summary(report); err != nil {
		return err
	}
	if err := page.write(report, time.Now()); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	if o.html != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), printable("trat: the page is in "+o.html))
	}
	if report.BundlesFrom == chainaudit.BundlesFromLogs {
		fmt.Fprintln(cmd.ErrOrStderr(), "trat: without --bundle nobody can tell whether the servers trusted the right authorities")
	}
	return answer(report)
}

// options make the audit print what it is asked for.
func (o *auditOptions) options(out auditWriter) chainaudit.Options {
	options := chainaudit.Options{Transaction: o.transaction, Keep: -1}
	if o.html != "" {
		options.Keep = render.PageTransactions
	}
	options.Each = func(t *chainaudit.Transaction) error {
		if o.findingsOnly && len(t.Findings) == 0 {
			return nil
		}
		return out.Transaction(t)
	}
	return options
}

// answer is the exit status for r.
func answer(r *chainaudit.Report) error {
	switch {
	case !r.Clean():
		return answerNo{fmt.Errorf("alarms: %d, warnings: %d", r.Counts.Alarms, r.Counts.Warnings)}
	case r.Counts.Transactions == 0:
		return errors.New("there is no record of a call in these logs")
	}
	return nil
}

// auditWriter is how an audit is printed.
type auditWriter interface {
	Transaction(*chainaudit.Transaction) error
	Summary(*chainaudit.Report) error
}

// writer prints in the format of --output.
func (o *auditOptions) writer(w io.Writer) auditWriter {
	if o.format == outputJSON {
		return render.NewJSONWriter(printableWriter{w})
	}
	return render.NewTextWriter(printableWriter{w})
}

// printableWriter is for writers that write whole lines at a time.
type printableWriter struct{ io.Writer }

func (w printableWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, printable(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
