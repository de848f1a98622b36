package hashchain

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// DefaultMaxBreaks is how many breaks a Report has at most.
const DefaultMaxBreaks = 100

// VerifyOptions say what a log is held to. The zero value is a log without a key, from its
// first line on, of which the end is not known.
type VerifyOptions struct {
	// Key is the one that the log was written with. With a key, a log without is not
	// intact, and the other way round.
	Key Key
	// Heads are points that the log must have reached: its checkpoints. Without the newest
	// of them nobody can tell whether lines are missing at the end; without a key and
	// without Heads, whether the whole log was written anew.
	Heads []Head
	// After is where the log was when the part that is verified began, if older files are
	// elsewhere. The zero value stands for the beginning.
	After Head
	// MaxBreaks bounds Report.Breaks; default DefaultMaxBreaks.
	MaxBreaks int
	// Each, if not nil, gets every line that is one, those of the log about itself
	// included. An error ends the verification and is returned.
	Each func(Line) error
}

// Line is one line of a log, as VerifyOptions.Each gets it.
type Line struct {
	// File is the name of the file, if it has one, and Number the line's in it, from 1.
	File   string
	Number int64
	// Sequence is the number that the line has.
	Sequence uint64
	Event    string
	// Text is the line, one JSON object. It is valid until Each returns.
	Text []byte
	// Changed says that the line's hash is not that of its text.
	Changed bool
}

// check returns every problem.
func (o VerifyOptions) check() error {
	var problems []error
	if o.Key != nil && len(o.Key) < minKey {
		problems = append(problems, fmt.Errorf("hashchain: Key has fewer than %d bytes", minKey))
	}
	for _, head := range o.Heads {
		problems = append(problems, head.check())
	}
	if o.After != (Head{}) {
		problems = append(problems, o.After.check())
	}
	if o.MaxBreaks < 0 {
		problems = append(problems, errors.New("hashchain: MaxBreaks is negative"))
	}
	return errors.Join(problems...)
}

// Verify reads a log and tells whether it is as it was written. The error is nil for one
// that is, contains ErrBroken for one that is not, and is another one if r cannot be read
// or the options are wrong. The Report has what was found in any case. Verify needs memory
// for one line and for the breaks that it reports, whatever r holds.
func Verify(r io.Reader, o VerifyOptions) (Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return Report{}, err
	}
	if err := v.read("", r); err != nil {
		return v.report, err
	}
	return v.finish()
}

// VerifyFiles is Verify for a log of several files, given in the order of the chain; see
// Files.
func VerifyFiles(paths []string, o VerifyOptions) (Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return Report{}, err
	}
	for _, path := range paths {
		if err := v.readFile(path); err != nil {
			return v.report, err
		}
	}
	return v.finish()
}

func (v *verifier) readFile(path string) error {
	file, err := os.Open(path) //nolint:gosec // the caller names the files
	if err != nil {
		return fmt.Errorf("hashchain: %w", err)
	}
	defer file.Close()
	return v.read(path, file)
}
