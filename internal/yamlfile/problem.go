package yamlfile

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxProblems bounds what is reported of a file that is hardly one of its kind at all.
const maxProblems = 100

// Problem is one thing wrong with a file.
type Problem struct {
	// Line is where it is, from 1; 0 when it concerns the whole file.
	Line int
	// Within is what Reader.Within was.
	Within string
	// Field is the key it concerns; empty when there is none.
	Field string
	// Text says what is wrong.
	Text string
}

// problems collects what is wrong, in the order it was found.
type problems struct {
	// Within names the part of the file that is being read.
	Within string
	list   []Problem
	more   bool // than are in list
}

// Add records a problem at node n.
func (p *problems) Add(n *yaml.Node, field, format string, args ...any) {
	p.AddAt(n.Line, field, format, args...)
}

// AddAt is Add for a line; line 0 is the whole file.
func (p *problems) AddAt(line int, field, format string, args ...any) {
	if len(p.list) == maxProblems {
		p.more = true
		return
	}
	p.list = append(p.list, Problem{Line: line, Within: p.Within, Field: field, Text: fmt.Sprintf(format, args...)})
}

// Full says whether there are more problems than will be told.
func (p *problems) Full() bool { return p.more }

// Err joins the problems, each as the error that made of it; nil if there are none.
func (p *problems) Err(made func(Problem) error) error {
	var all []error
	for _, problem := range p.list {
		all = append(all, made(problem))
	}
	if p.more {
		all = append(all, made(Problem{Text: "there are more problems"}))
	}
	return errors.Join(all...)
}
