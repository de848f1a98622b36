package binding

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Compile resolves every name and checks every type. Relations are compiled by relations,
// nil where there are none. All problems are reported at once.
func Compile(list []Binding, input protoreflect.MessageDescriptor, relations RelationCompiler) (*Set, error) {
	if len(list) > 0 && input == nil {
		return nil, errors.New("bindings: the type of the request is not known")
	}
	if len(list) > syntax.MaxEntries {
		return nil, fmt.Errorf("bindings: %d of them, at most %d are allowed", len(list), syntax.MaxEntries)
	}
	if relations == nil {
		relations = noRelations
	}
	c := compiler{Set: &Set{input: input}, forms: newForms(), relations: relations, slots: make(map[string]int)}
	bad := make(map[int]bool)
	for i, err := range Problems(list) {
		bad[i] = true
		c.errs = append(c.errs, err)
	}
	for i, b := range list {
		if !bad[i] {
			c.add(b)
		}
	}
	c.refusePrefixes()
	if c.errs != nil {
		return nil, errors.Join(c.errs...)
	}
	members := make([][]string, len(c.names))
	for i, name := range c.names {
		members[i] = strings.Split(name, ".")
	}
	c.paths = trat.NewPaths(members...)
	return c.Set, nil
}

type compiler struct {
	*Set
	forms     *forms
	relations RelationCompiler
	slots     map[string]int
	errs      []error
}

func (c *compiler) fail(field, format string, args ...any) {
	c.errs = append(c.errs, about(field, fmt.Errorf(format, args...)))
}

func (c *compiler) add(given Binding) {
	field, err := resolveField(c.input, given.Field)
	if err != nil {
		c.errs = append(c.errs, about(given.Field, err))
		return
	}
	b := binding{fieldPath: field, optional: given.Optional, member: strings.Split(given.Tctx, ".")}
	if given.Relation == "" {
		b.form, err = c.forms.of(field.leaf)
	} else if b.relation, err = c.relations(given.Relation, field.leaf); err != nil {
		err = fmt.Errorf("relation: %w", err)
	}
	if err != nil {
		c.errs = append(c.errs, about(given.Field, err))
		return
	}
	slot, known := c.slots[given.Tctx]
	if !known {
		slot = len(c.names)
		c.slots[given.Tctx] = slot
		c.names = append(c.names, given.Tctx)
	}
	b.slot = slot
	c.list = append(c.list, b)
}

// refusePrefixes refuses members that are part of another one: both would have to be made
// out of two fields.
func (c *compiler) refusePrefixes() {
	for i := range c.list {
		for j := range c.list {
			whole, part := &c.list[i], &c.list[j]
			if whole.form != nil && part.form != nil && len(whole.member) < len(part.member) &&
				slices.Equal(whole.member, part.member[:len(whole.member)]) {
				c.fail(part.name, "tctx %s is part of %s, which %s is bound to", syntax.Shown(c.names[part.slot]), syntax.Shown(c.names[whole.slot]), syntax.Shown(whole.name))
			}
		}
	}
}
