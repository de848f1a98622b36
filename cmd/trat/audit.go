package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

const verifyLogHelp = `verify-log says whether an audit log of tratd is as it was written: no record was
changed, removed, moved or put in. FILE is the path in tratd's configuration;
rotated files beside it are found and belong to the log. With - it reads one file
from standard input.

What the chain alone cannot show is that records were removed from the end. tratd
writes checkpoints of the log to its other log: give that, or parts of it, with
--checkpoints, from a place that whoever could change the audit log cannot reach. It
is read as tratd writes it, JSON or text, and must be of this tratd alone. Single
checkpoints can be given with --head: the newest, and the last one of each run of
tratd before. A log that was written with a key needs it; without a key and without
checkpoints, whoever can write the file can write all of it anew.

Exit status: 0 intact, 3 not intact (each break is printed), 1 it could not be read,
2 wrong use.`

const verifyLogExample = `  trat audit verify-log /var/log/tratd/audit.log --key-file chain.key \
    --checkpoints operations.log
  trat audit verify-log /var/log/tratd/audit.log --head 3f0c...:1042:9a31...`

// verifyLogOptions are the flags of `trat audit verify-log`.
type verifyLogOptions struct {
	keyFile     string
	heads       []string
	checkpoints []string // names of files
	after       string
	format      output
}

// logReport is the result of `trat audit verify-log`.
type logReport struct {
	Intact      bool       `json:"intact"`
	Keyed       bool       `json:"keyed"`
	Records     int64      `json:"records"`
	First       uint64     `json:"first_sequence"`
	Head        string     `json:"head,omitempty"`
	Checkpoints int        `json:"checkpoints"`
	Opened      int64      `json:"opened"`
	Resumed     int64      `json:"resumed"`
	Lost        uint64     `json:"lost"`
	Torn        int64      `json:"torn"`
	Breaks      []logBreak `json:"breaks,omitempty"`
	MoreBreaks  int64      `json:"more_breaks,omitempty"`
}

type logBreak struct {
	Kind     string `json:"kind"`
	File     string `json:"file,omitempty"`
	Line     int64  `json:"line"`
	Sequence uint64 `json:"sequence,omitempty"`
	Detail   string `json:"detail,omitempty"`
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
	f.StringArrayVar(&o.checkpoints, "checkpoints", nil, "`file` with tratd's other log, whose checkpoints the log must have reached; - for standard input; repeatable")
	f.StringVar(&o.after, "after", "", "`checkpoint` after which the log begins, when older files are elsewhere")
	addOutput(cmd, &o.format)
	noFiles(cmd, "head")
	noFiles(cmd, "after")
	return cmd
}

func (o *verifyLogOptions) run(cmd *cobra.Command, path string) error {
	demands, err := o.demands(cmd.InOrStdin(), path)
	if err != nil {
		return err
	}
	report, broken := verifyLog(cmd.InOrStdin(), path, demands)
	if broken != nil && !errors.Is(broken, auditlog.ErrBroken) {
		return broken
	}
	result := newLogReport(report, len(demands.Heads), broken == nil)
	err = o.format.show(cmd.OutOrStdout(), result, func(w io.Writer) { result.write(w, report) })
	if len(demands.Heads) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "trat: without --checkpoints or --head nobody can tell whether records were removed from the end")
	}
	if broken != nil {
		return errors.Join(answerNo{broken}, err)
	}
	return err
}

// demands checks the flags and returns what the log at path is held to.
func (o *verifyLogOptions) demands(stdin io.Reader, path string) (auditlog.VerifyOptions, error) {
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
	if inputs := append([]string{path}, o.checkpoints...); countOf(inputs, stdinName) > 1 {
		problems = append(problems, errors.New("standard input can be read once"))
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
	for _, name := range o.checkpoints {
		heads, err := readCheckpoints(stdin, name)
		if err != nil {
			return demands, fmt.Errorf("--checkpoints: %w", err)
		}
		demands.Heads = append(demands.Heads, since(demands.After, heads)...)
	}
	return demands, nil
}

func countOf(names []string, name string) (n int) {
	for _, other := range names {
		if other == name {
			n++
		}
	}
	return n
}

// readCheckpoints reads a log of operations. One without a checkpoint is the wrong file:
// to hold the log to nothing would look like a check.
func readCheckpoints(stdin io.Reader, name string) ([]auditlog.Head, error) {
	in := stdin
	if name != stdinName {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // read only
		in = file
	} else {
		name = "standard input"
	}
	heads, err := auditlog.ReadCheckpoints(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(heads) == 0 {
		return nil, fmt.Errorf("%s has no checkpoint of an audit log", name)
	}
	return heads, nil
}

// since leaves out the checkpoints of the part of the log that is elsewhere.
func since(after auditlog.Head, heads []auditlog.Head) []auditlog.Head {
	return slices.DeleteFunc(heads, func(h auditlog.Head) bool { return h.Log == after.Log && h.Sequence < after.Sequence })
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

func newLogReport(r auditlog.Report, checkpoints int, intact bool) logReport {
	out := logReport{
		Intact: intact, Keyed: r.Keyed, Records: r.Records, First: r.First, Checkpoints: checkpoints,
		Opened: r.Opened, Resumed: r.Resumed, Lost: r.Lost, Torn: r.Torn, MoreBreaks: r.MoreBreaks,
	}
	// What was read of a damaged log may end in nothing that could be a checkpoint.
	if head := r.Head.String(); isCheckpoint(head) {
		out.Head = head
	}
	for _, b := range r.Breaks {
		out.Breaks = append(out.Breaks, logBreak{Kind: string(b.Kind), File: b.File, Line: b.Line, Sequence: b.Sequence, Detail: b.Detail})
	}
	return out
}

// isCheckpoint says whether --head would take text.
func isCheckpoint(text string) bool {
	_, err := auditlog.ParseHead(text)
	return err == nil
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
	if r.Head != "" {
		fmt.Fprintf(w, "head         %s\n", r.Head)
	}
	if r.Checkpoints > 0 {
		fmt.Fprintf(w, "checkpoints  %d were looked for\n", r.Checkpoints)
	}
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
