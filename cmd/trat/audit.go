package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

const verifyLogHelp = `verify-log says whether an audit log of tratd is as it was written: no record was
changed, removed, moved or put in. FILE is the path in tratd's configuration;
rotated files beside it are found and belong to the log. With - it reads one file
from standard input.

What the chain alone cannot show is that records were removed from the end. tratd
writes checkpoints of the log to its other log; give the newest one with --head, and
the last one of each run of tratd before, from a place that whoever could change the
audit log cannot reach. A log that was written with a key needs it; without a key
and without --head, whoever can write the file can write all of it anew.

Exit status: 0 intact, 3 not intact (each break is printed), 1 it could not be read,
2 wrong use.`

const verifyLogExample = `  trat audit verify-log /var/log/tratd/audit.log --key-file chain.key \
    --head 3f0c...:1042:9a31...`

// verifyLogOptions are the flags of `trat audit verify-log`.
type verifyLogOptions struct {
	keyFile string
	heads   []string
	after   string
	format  output
}

// logReport is the result of `trat audit verify-log`.
type logReport struct {
	Intact     bool       `json:"intact"`
	Keyed      bool       `json:"keyed"`
	Records    int64      `json:"records"`
	First      uint64     `json:"first_sequence"`
	Head       string     `json:"head,omitempty"`
	Opened     int64      `json:"opened"`
	Resumed    int64      `json:"resumed"`
	Lost       uint64     `json:"lost"`
	Torn       int64      `json:"torn"`
	Breaks     []logBreak `json:"breaks,omitempty"`
	MoreBreaks int64      `json:"more_breaks,omitempty"`
}

type logBreak struct {
	Kind     string `json:"kind"`
	File     string `json:"file,omitempty"`
	Line     int64  `json:"line"`
	Sequence uint64 `json:"sequence,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

func newAudit() *cobra.Command {
	return newGroup("audit", "Work on audit logs", newVerifyLog())
}

func newVerifyLog() *cobra.Command {
	var o verifyLogOptions
	cmd := &cobra.Command{
		Use:     "verify-log FILE",
		Short:   "Check that an audit log is complete and unchanged",
		Long:    verifyLogHelp,
		Example: verifyLogExample,
		Args:    files("one FILE", 1, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.keyFile, "key-file", "", "`file` with the key of the chain, 64 hexadecimal digits")
	f.StringArrayVar(&o.heads, "head", nil, "`checkpoint` that the log must have reached, id:sequence:hash; repeatable")
	f.StringVar(&o.after, "after", "", "`checkpoint` after which the log begins, when older files are elsewhere")
	addOutput(cmd, &o.format)
	noFiles(cmd, "head")
	noFiles(cmd, "after")
	return cmd
}

func (o *verifyLogOptions) run(cmd *cobra.Command, path string) error {
	demands, err := o.demands()
	if err != nil {
		return err
	}
	report, broken := verifyLog(cmd.InOrStdin(), path, demands)
	if broken != nil && !errors.Is(broken, auditlog.ErrBroken) {
		return broken
	}
	result := newLogReport(report, broken == nil)
	err = o.format.show(cmd.OutOrStdout(), result, func(w io.Writer) { result.write(w, report) })
	if len(o.heads) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "trat: without --head nobody can tell whether records were removed from the end")
	}
	if broken != nil {
		return errors.Join(answerNo{broken}, err)
	}
	return err
}

// demands checks the flags and returns what the log is held to.
func (o *verifyLogOptions) demands() (auditlog.VerifyOptions, error) {
	var demands auditlog.VerifyOptions
	var problems []error
	head := func(flag, text string) (h auditlog.Head) {
		h, err := auditlog.ParseHead(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s: %w", flag, err))
		}
		return h
	}
	for _, text := range o.heads {
		demands.Heads = append(demands.Heads, head("head", text))
	}
	if o.after != "" {
		demands.After = head("after", o.after)
	}
	if err := errors.Join(problems...); err != nil {
		return demands, usageError{err}
	}
	if o.keyFile != "" {
		key, err := config.ReadKey(o.keyFile)
		if err != nil {
			return demands, fmt.Errorf("--key-file: %w", err)
		}
		demands.Key = key.Bytes()
	}
	return demands, nil
}

func verifyLog(stdin io.Reader, path string, demands auditlog.VerifyOptions) (auditlog.Report, error) {
	if path == stdinName {
		return auditlog.Verify(stdin, demands)
	}
	paths, err := auditlog.Files(path)
	if err != nil {
		return auditlog.Report{}, err
	}
	return auditlog.VerifyFiles(paths, demands)
}

func newLogReport(r auditlog.Report, intact bool) logReport {
	out := logReport{
		Intact: intact, Keyed: r.Keyed, Records: r.Records, First: r.First, Opened: r.Opened, Resumed: r.Resumed, Lost: r.Lost, Torn: r.Torn,
		MoreBreaks: r.MoreBreaks,
	}
	if r.Head != (auditlog.Head{}) {
		out.Head = r.Head.String()
	}
	for _, b := range r.Breaks {
		out.Breaks = append(out.Breaks, logBreak{Kind: string(b.Kind), File: b.File, Line: b.Line, Sequence: b.Sequence, Detail: b.Detail})
	}
	return out
}

// write prints r for a person.
func (r logReport) write(w io.Writer, report auditlog.Report) {
	verdict := "NOT INTACT"
	if r.Intact {
		verdict = "intact"
	}
	keyed := "without a key"
	if r.Keyed {
		keyed = "with a key"
	}
	fmt.Fprintf(w, "%s: %d records, chained %s\n", verdict, r.Records, keyed)
	fmt.Fprintf(w, "head         %s\n", r.Head)
	fmt.Fprintf(w, "opened       %d times\n", r.Opened)
	if r.Resumed > 0 {
		fmt.Fprintf(w, "resumed      %d times, after a failure to write\n", r.Resumed)
	}
	if r.Lost > 0 {
		fmt.Fprintf(w, "lost         %d records could not be written, says the log\n", r.Lost)
	}
	if r.Torn > 0 {
		fmt.Fprintf(w, "torn         %d half-written lines, says the log\n", r.Torn)
	}
	for _, b := range report.Breaks {
		fmt.Fprintln(w, b)
	}
	if r.MoreBreaks > 0 {
		fmt.Fprintf(w, "and %d more breaks\n", r.MoreBreaks)
	}
}
