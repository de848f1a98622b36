package policytest

import (
	"fmt"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
)

// Problem is one thing wrong with a table file or a request. The errors of Run and
// ParseRequest join them: errors.As finds the first, and all are its Unwrap() []error.
type Problem struct {
	// File says what kind of file it is in: "table" or "request".
	File string
	// Line is where it is, from 1; 0 when it concerns the whole file.
	Line int
	// Test is the name of the test, "#2" for the second one if it has no name, or empty
	// outside of tests.
	Test string
	// Field is the key it concerns, such as "request.scope"; empty when there is none.
	Field string
	// Text says what is wrong.
	Text string
}

// Error joins place and text.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File + ": ")
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Test != "" {
		fmt.Fprintf(&b, "test %s: ", yamlfile.Quote(p.Test))
	}
	if p.Field != "" {
		fmt.Fprintf(&b, "%s: ", p.Field)
	}
	b.WriteString(p.Text)
	return b.String()
}

// Kinds of files.
const (
	tableFile   = "table"
	requestFile = "request"
)

// problemIn makes *Problems of what a reader found in such a file.
func problemIn(file string) func(yamlfile.Problem) error {
	return func(p yamlfile.Problem) error {
		return &Problem{File: file, Line: p.Line, Test: p.Within, Field: p.Field, Text: p.Text}
	}
}

// reader reads tests and requests.
type reader struct{ yamlfile.Reader }
