package auditlog

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
)

// DefaultMaxBreaks is how many breaks a Report has at most: 100.
const DefaultMaxBreaks = hashchain.DefaultMaxBreaks

// Head is a point that a log has reached: its last line then. Whoever has kept one outside
// the reach of an attacker can tell later that nothing up to it was changed or removed.
type Head struct {
	// Log is the id of the log, 32 hexadecimal digits.
	Log string
	// Sequence is the number of the line, from 1.
	Sequence uint64
	// Hash is the line's own, 64 hexadecimal digits.
	Hash string
}

// String returns h as one word, id:sequence:hash.
func (h Head) String() string { return hashchain.Head(h).String() }

// ParseHead reads what Head.String has returned.
func ParseHead(text string) (Head, error) {
	h, err := hashchain.ParseHead(text)
	return Head(h), named(err)
}

// VerifyOptions say what a log is held to. The zero value is a log without a key, from its
// first line on, of which the end is not known. They print without their key.
type VerifyOptions struct {
	// Key is the one that the log was written with. With a key, a log without is not
	// intact, and the other way round.
	Key []byte
	// Heads are points that the log must have reached: its checkpoints. Without the newest
	// of them nobody can tell whether lines are missing at the end; without a key and
	// without Heads, whether the whole log was written anew.
	Heads []Head
	// After is where the log was when the part that is verified began, if older files are
	// elsewhere. The zero value stands for the beginning.
	After Head
	// MaxBreaks bounds Report.Breaks; default DefaultMaxBreaks.
	MaxBreaks int
}

// String says how much the log is held to. It does not print the key.
func (o VerifyOptions) String() string {
	return fmt.Sprintf("auditlog.VerifyOptions(%d heads, key: %t)", len(o.Heads), o.Key != nil)
}

// Format prints what String returns, whatever the verb.
func (o VerifyOptions) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.String()) }

// LogValue returns what String returns.
func (o VerifyOptions) LogValue() slog.Value { return slog.StringValue(o.String()) }

// MarshalText returns what String returns: as JSON, too, they have no key.
func (o VerifyOptions) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// chain is o in the types of the chain.
func (o VerifyOptions) chain() hashchain.VerifyOptions {
	options := hashchain.VerifyOptions{Key: o.Key, After: hashchain.Head(o.After), MaxBreaks: o.MaxBreaks}
	for _, head := range o.Heads {
		options.Heads = append(options.Heads, hashchain.Head(head))
	}
	return options
}

// Files returns the files of the log at path that are there, in the order of the chain: the
// rotated ones, and then path itself.
func Files(path string) ([]string, error) {
	files, err := hashchain.Files(path)
	return files, named(err)
}

// Verify reads a log and tells whether it is as it was written. The error is nil for one
// that is, contains ErrBroken for one that is not, and is another one if r cannot be read
// or the options are wrong. The Report has what was found in any case. Verify needs memory
// for one line and for the breaks that it reports, whatever r holds.
func Verify(r io.Reader, o VerifyOptions) (Report, error) {
	report, err := hashchain.Verify(r, o.chain())
	return reportOf(report), named(err)
}

// VerifyFiles is Verify for a log of several files, given in the order of the chain; see
// Files.
func VerifyFiles(paths []string, o VerifyOptions) (Report, error) {
	report, err := hashchain.VerifyFiles(paths, o.chain())
	return reportOf(report), named(err)
}

// ReadCheckpoints returns the checkpoints in a log of operations, each once: lines of
// slog's JSON or text handler with event.name txn_token.audit.checkpoint. Something may
// stand before the record, as a system's log puts it there. Other lines are passed over.
func ReadCheckpoints(r io.Reader) ([]Head, error) {
	read, err := hashchain.ReadCheckpoints(r)
	if err != nil {
		return nil, named(err)
	}
	heads := make([]Head, len(read))
	for i, head := range read {
		heads[i] = Head(head)
	}
	return heads, nil
}
