package policy

import (
	"fmt"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
)

// Problem is one thing wrong with a policy file. The errors of Parse join them: errors.As
// finds the first, and all are its Unwrap() []error.
type Problem struct {
	// Line is where it is, from 1; 0 when it concerns the whole file.
	Line int
	// Rule is the name of the rule, "#2" for the second one if it has no name, or
	// empty outside of rules.
	Rule string
	// Field is the key it concerns, such as "lifetime" or "request_details.required";
	// empty when there is none.
	Field string
	// Text says what is wrong.
	Text string
}

// Error joins place and text.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString("policy: ")
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Rule != "" {
		fmt.Fprintf(&b, "rule %s: ", yamlfile.Quote(p.Rule))
	}
	if p.Field != "" {
		fmt.Fprintf(&b, "%s: ", p.Field)
	}
	b.WriteString(p.Text)
	return b.String()
}

// newProblem is a *Problem of what a reader found.
func newProblem(p yamlfile.Problem) error {
	return &Problem{Line: p.Line, Rule: p.Within, Field: p.Field, Text: p.Text}
}
