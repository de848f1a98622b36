package auditlog

import "strings"

// named returns an error of the chain of lines under the name of this package, which is the
// one that its users know. What errors.Is and errors.As find stays the same.
func named(err error) error {
	if err == nil {
		return nil
	}
	return namedError{err}
}

// namedError has one problem per line.
type namedError struct{ error }

// Error returns the text, each problem under the name of this package.
func (e namedError) Error() string {
	lines := strings.Split(e.error.Error(), "\n")
	for i, line := range lines {
		if text, ok := strings.CutPrefix(line, "hashchain: "); ok {
			lines[i] = "auditlog: " + text
		}
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error of the chain.
func (e namedError) Unwrap() error { return e.error }
