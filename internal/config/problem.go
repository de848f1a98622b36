package config

import (
	"errors"
	"fmt"
)

// maxProblems bounds what is reported of a file that is hardly a configuration.
const maxProblems = 100

// Problem is one thing wrong with a configuration. The error of Load joins them.
type Problem struct {
	// Line is where it is, from 1; 0 when it concerns the whole file.
	Line int
	// Field is the key it concerns, such as "subject_tokens.issuers[0].prefix"; empty
	// when there is none.
	Field string
	// Text says what is wrong.
	Text string
}

// Error joins place and text.
func (p *Problem) Error() string {
	s := "config: "
	if p.Line > 0 {
		s += fmt.Sprintf("line %d: ", p.Line)
	}
	if p.Field != "" {
		s += p.Field + ": "
	}
	return s + p.Text
}

// problems collects what is wrong, in the order it was found.
type problems struct{ list []*Problem }

func (p *problems) add(line int, field, format string, args ...any) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, &Problem{Line: line, Field: field, Text: fmt.Sprintf(format, args...)})
	}
}

// fields are those that something is wrong with.
func (p *problems) fields() []string {
	fields := make([]string, len(p.list))
	for i, problem := range p.list {
		fields[i] = problem.Field
	}
	return fields
}

// err joins the problems; nil if there are none.
func (p *problems) err() error {
	joined := make([]error, len(p.list))
	for i, problem := range p.list {
		joined[i] = problem
	}
	return errors.Join(joined...)
}
