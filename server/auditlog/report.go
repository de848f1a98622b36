package auditlog

import "github.com/grpc-trat/grpc-trat/internal/hashchain"

// ErrBroken is in the error of Verify for a log that is not as it was written.
var ErrBroken = hashchain.ErrBroken

// BreakKind is a way in which a log is not as it was written.
type BreakKind string

// Kinds of breaks.
const (
	// BreakText: text that is no line of a log, and that no later line declares as torn.
	BreakText = BreakKind(hashchain.BreakText)
	// BreakContent: the line's hash is not that of its text, so that the line was changed.
	BreakContent = BreakKind(hashchain.BreakContent)
	// BreakLink: the line before is another one than when this line was written.
	BreakLink = BreakKind(hashchain.BreakLink)
	// BreakMissing: lines are missing before this one.
	BreakMissing = BreakKind(hashchain.BreakMissing)
	// BreakOrder: the line's number is not above that of the line before: a line was moved,
	// repeated or put in.
	BreakOrder = BreakKind(hashchain.BreakOrder)
	// BreakStart: the log does not begin with its first line, or where VerifyOptions.After
	// says.
	BreakStart = BreakKind(hashchain.BreakStart)
	// BreakLog: this line and what follows is of another log.
	BreakLog = BreakKind(hashchain.BreakLog)
	// BreakKey: the log has no key and should, or has another one, or one that was not
	// given. What its lines hold is then not checked any further.
	BreakKey = BreakKind(hashchain.BreakKey)
	// BreakTorn: the line declares half-written text that is not before it.
	BreakTorn = BreakKind(hashchain.BreakTorn)
	// BreakHead: a line that must be there is not: the end was removed, or the log was
	// written anew.
	BreakHead = BreakKind(hashchain.BreakHead)
)

// Break is one place where a log is not as it was written.
type Break struct {
	Kind BreakKind
	// File is the name of the file, if it has one.
	File string
	// Line counts from 1 in each file. The end of the log is the line after the last.
	Line int64
	// Sequence is the number that the line has, 0 if it has none; for BreakHead, that of
	// the line that must be there.
	Sequence uint64
	// Detail says more. It holds nothing of a record.
	Detail string
}

// String returns b as text, as compilers write the place of an error.
func (b Break) String() string {
	return hashchain.Break{Kind: hashchain.BreakKind(b.Kind), File: b.File, Line: b.Line, Sequence: b.Sequence, Detail: b.Detail}.String()
}

// Report is what Verify has found. It tells of a log that is intact only together with a
// nil error.
type Report struct {
	// First is the number of the first line.
	First uint64
	// Head is the last line.
	Head Head
	// Keyed says that the lines are chained with a key, as the log itself says first.
	Keyed bool
	// Records is how many decisions there are.
	Records int64
	// Opened is how often a process began to write, or a file was begun.
	Opened int64
	// Resumed is how often the log went on after a failure to write.
	Resumed int64
	// Lost is how many records could not be written, as the log says itself.
	Lost uint64
	// Torn is how many half-written lines there are, as the log says itself.
	Torn int64
	// Breaks are the first VerifyOptions.MaxBreaks.
	Breaks []Break
	// MoreBreaks is how many there are beyond those.
	MoreBreaks int64
}

// reportOf is what was found of the chain, in this package's types.
func reportOf(r hashchain.Report) Report {
	report := Report{
		First: r.First, Head: Head(r.Head), Keyed: r.Keyed, Records: r.Records, Opened: r.Opened, Resumed: r.Resumed,
		Lost: r.Lost, Torn: r.Torn, MoreBreaks: r.MoreBreaks,
	}
	for _, b := range r.Breaks {
		report.Breaks = append(report.Breaks, Break{Kind: BreakKind(b.Kind), File: b.File, Line: b.Line, Sequence: b.Sequence, Detail: b.Detail})
	}
	return report
}
