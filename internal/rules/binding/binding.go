// Package binding ties fields of requests to members of a transaction's tctx: it reads the
// options that do so, looks the fields up, compares their values with members of tctx, and
// makes members of the values. It is all that who asks for a transaction needs of the rules
// of those who are called; how relations are compiled is for its user to say.
package binding

import (
	"fmt"
	"iter"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
)

// Binding ties a field of a request to a member of tctx.
type Binding struct {
	// Field is its name, or names joined by dots from the request's message on.
	Field string
	// Tctx is the member: names joined by dots.
	Tctx string
	// Relation is a CEL expression over this and bound; "": both are equal.
	Relation string
	// Optional permits both to be absent.
	Optional bool
}

// Of returns the binding of a field that an option says.
func Of(field string, option *tratv1.Binding) Binding {
	return Binding{Field: field, Tctx: option.GetTctx(), Relation: option.GetRelation(), Optional: option.GetOptional()}
}

// String is the binding as a text shows it: "amount = tctx.limit", or with its relation.
func (b Binding) String() string {
	text := b.Field + " = tctx." + b.Tctx
	if b.Relation != "" {
		text = b.Field + " (this), tctx." + b.Tctx + " (bound): " + b.Relation
	}
	if b.Optional {
		text += ", or both absent"
	}
	return text
}

// Problems returns what is wrong with bindings, whatever the message is, each with the index
// of its binding.
func Problems(list []Binding) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		given := make(map[Binding]bool, len(list))
		for i, b := range list {
			problems := b.problems()
			// A relation beside the equality is one demand more; to be optional is none.
			demand := Binding{Field: b.Field, Tctx: b.Tctx, Relation: b.Relation}
			if given[demand] {
				problems = append(problems, fmt.Errorf("is bound to tctx %s twice", syntax.Shown(b.Tctx)))
			}
			given[demand] = true
			for _, err := range problems {
				if !yield(i, about(b.Field, err)) {
					return
				}
			}
		}
	}
}

// problems are what is wrong with a binding by itself.
func (b Binding) problems() (found []error) {
	if err := syntax.CheckPath(b.Field); err != nil {
		found = append(found, err)
	}
	if err := syntax.CheckMember(b.Tctx); err != nil {
		found = append(found, fmt.Errorf("tctx %s: %w", syntax.Shown(b.Tctx), err))
	}
	if len(b.Relation) > syntax.MaxText {
		found = append(found, fmt.Errorf("relation: longer than %d bytes", syntax.MaxText))
	}
	return found
}

// about names the field that an error is about.
func about(field string, err error) error {
	return fmt.Errorf("field %s: %w", syntax.Shown(field), err)
}
