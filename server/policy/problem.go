package policy

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxProblems bounds what is reported of a file that is hardly a policy at all.
const maxProblems = 100

// Problem is one thing wrong with a policy file or a table file. The errors of Parse and
// RunTests join them: errors.As finds the first, and all are its Unwrap() []error.
type Problem struct {
	// Line is where it is, from 1; 0 when it concerns the whole file.
	Line int
	// Rule is the name of the rule, "#2" for the second one if it has no name, or
	// empty outside of rules.
	Rule string
	// Test is the same of a test in a table file.
	Test string
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
		fmt.Fprintf(&b, "rule %s: ", p.Rule)
	}
	if p.Test != "" {
		fmt.Fprintf(&b, "test %s: ", p.Test)
	}
	if p.Field != "" {
		fmt.Fprintf(&b, "%s: ", p.Field)
	}
	b.WriteString(p.Text)
	return b.String()
}

// problems collects what is wrong, in the order it was found.
type problems struct {
	rule, test string // that is being read
	list       []error
	more       bool // than are in list
}

// add records a problem at node n in the rule or test being read.
func (p *problems) add(n *yaml.Node, field, format string, args ...any) {
	p.addAt(n.Line, field, format, args...)
}

// addAt is add for a line; line 0 is the whole file.
func (p *problems) addAt(line int, field, format string, args ...any) {
	if len(p.list) == maxProblems {
		p.more = true
		return
	}
	p.list = append(p.list, &Problem{Line: line, Rule: p.rule, Test: p.test, Field: field, Text: fmt.Sprintf(format, args...)})
}

// err joins the problems; nil if there are none.
func (p *problems) err() error {
	if p.more {
		p.list = append(p.list, &Problem{Text: "there are more problems"})
	}
	return errors.Join(p.list...)
}
