package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// bindings are the compiled bindings of one message type. They are immutable and safe for
// concurrent use.
type bindings struct {
	input protoreflect.MessageDescriptor
	list  []binding
	paths *trat.Paths // each member once, by binding.slot
	names []string    // the members of paths, names joined by dots
}

// binding is one compiled Binding.
type binding struct {
	fieldPath
	slot     int
	member   []string
	optional bool
	form     form      // for equality
	relation *relation // instead of equality
}

// compileBindings resolves every name and checks every type. All problems are reported at
// once.
func compileBindings(list []Binding, input protoreflect.MessageDescriptor) (*bindings, error) {
	if len(list) > 0 && input == nil {
		return nil, errors.New("bindings: the type of the request is not known")
	}
	if len(list) > maxEntries {
		return nil, fmt.Errorf("bindings: %d of them, at most %d are allowed", len(list), maxEntries)
	}
	c := bindingCompiler{bindings: &bindings{input: input}, forms: newForms(), slots: make(map[string]int), given: make(map[Binding]bool)}
	for _, b := range list {
		c.add(b)
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
	return c.bindings, nil
}

type bindingCompiler struct {
	*bindings
	forms *forms
	slots map[string]int
	given map[Binding]bool // each binding, optional or not
	errs  []error
}

func (c *bindingCompiler) fail(field, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("field %s: %w", shown(field), fmt.Errorf(format, args...)))
}

func (c *bindingCompiler) add(given Binding) {
	// A relation beside the equality is one demand more.
	demand := Binding{Field: given.Field, Tctx: given.Tctx, Relation: given.Relation}
	if c.given[demand] {
		c.fail(given.Field, "is bound to tctx %s twice", shown(given.Tctx))
		return
	}
	c.given[demand] = true
	field, err := resolveField(c.input, given.Field)
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	if err := path(given.Tctx); err != nil {
		c.fail(given.Field, "tctx %s: %w", shown(given.Tctx), err)
		return
	}
	b := binding{fieldPath: field, optional: given.Optional, member: strings.Split(given.Tctx, ".")}
	if given.Relation == "" {
		b.form, err = c.forms.of(field.leaf)
	} else if b.relation, err = compileRelation(given.Relation, field.leaf); err != nil {
		err = fmt.Errorf("relation: %w", err)
	}
	if err != nil {
		c.fail(given.Field, "%w", err)
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
func (c *bindingCompiler) refusePrefixes() {
	for i := range c.list {
		for j := range c.list {
			whole, part := &c.list[i], &c.list[j]
			if whole.form != nil && part.form != nil && len(whole.member) < len(part.member) &&
				slices.Equal(whole.member, part.member[:len(whole.member)]) {
				c.fail(part.name, "tctx %s is part of %s, which %s is bound to", shown(c.names[part.slot]), shown(c.names[whole.slot]), shown(whole.name))
			}
		}
	}
}

// usualBindings is for how many members check has memory at hand.
const usualBindings = 16

// check returns POLICY_DENIED, as an *trat.Error with the field, for the first binding that
// does not hold.
func (b *bindings) check(tctx trat.Object, message protoreflect.Message) error {
	if len(b.list) == 0 {
		return nil
	}
	if message.Descriptor() != b.input {
		return trat.Errorf(trat.ReasonPolicyDenied, "", "the request is a message of another type than the method's")
	}
	var memory [usualBindings]trat.Value
	members := b.paths.AppendValues(memory[:0], tctx)
	for i := range b.list {
		if err := b.list[i].check(members[b.list[i].slot], message); err != nil {
			return &trat.Error{Reason: trat.ReasonPolicyDenied, Field: b.list[i].name, Err: err}
		}
	}
	return nil
}

// check says why a binding does not hold.
func (b *binding) check(member trat.Value, message protoreflect.Message) error {
	value, set, err := b.get(message)
	missing := member.IsZero() || member.IsNull()
	switch {
	case err != nil:
		return err
	case missing && b.optional && (!set || b.isZero(message)):
		return nil
	case !set && missing:
		return fmt.Errorf("is not set, and tctx has no %s", b.memberName())
	case !set:
		return fmt.Errorf("is not set, and tctx has %s", b.memberName())
	case missing:
		return fmt.Errorf("tctx has no %s", b.memberName())
	case b.relation == nil:
		if !b.form.equals(value, member) {
			return fmt.Errorf("is not what tctx has as %s", b.memberName())
		}
		return nil
	}
	holds, err := b.relation.holds(value, member)
	switch {
	case err != nil:
		return fmt.Errorf("its relation to tctx %s: %w", b.memberName(), err)
	case !holds:
		return fmt.Errorf("is not in its relation to tctx %s", b.memberName())
	}
	return nil
}

func (b *binding) memberName() string { return strings.Join(b.member, ".") }
