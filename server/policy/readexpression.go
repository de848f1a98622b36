package policy

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
)

// expression is what makes two expressions the same program.
type expression struct {
	source      string
	purpose     expr.Purpose
	replacement bool
}

type compiled struct {
	program *expr.Program
	issues  []expr.Issue
}

// expression compiles the CEL expression n; nil after a problem. One that is there
// several times is compiled once.
func (r *reader) expression(n *yaml.Node, field string, purpose expr.Purpose, replacement bool) *expr.Program {
	source := r.Text(n, field)
	if source == "" {
		return nil
	}
	key := expression{source: source, purpose: purpose, replacement: replacement}
	c, done := r.programs[key]
	if !done {
		c.program, c.issues = r.env.Compile(source, purpose, replacement)
		if r.programs == nil {
			r.programs = make(map[expression]compiled)
		}
		r.programs[key] = c
	}
	for _, issue := range c.issues {
		r.AddAt(expressionLine(n, issue), field, "%s%s", expressionColumn(issue), issue.Text)
	}
	if c.program != nil {
		r.cost += c.program.Cost()
	}
	return c.program
}

// expressionLine is the line of the file that an issue is in. Only in a literal block, a
// line of the file is a line of the expression.
func expressionLine(n *yaml.Node, issue expr.Issue) int {
	if n.Style&yaml.LiteralStyle != 0 && issue.Line > 0 {
		return n.Line + issue.Line
	}
	return n.Line
}

func expressionColumn(issue expr.Issue) string {
	if issue.Column == 0 {
		return ""
	}
	return fmt.Sprintf("column %d of the expression: ", issue.Column)
}
