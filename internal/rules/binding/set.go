package binding

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Set is the compiled bindings of one message type. It is immutable and safe for concurrent
// use.
type Set struct {
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
	form     form     // for equality
	relation Relation // instead of equality
}

// usualBindings is for how many members check has memory at hand.
const usualBindings = 16

// Check returns POLICY_DENIED, as an *trat.Error with the field, for the first binding that
// does not hold.
func (b *Set) Check(tctx trat.Object, message protoreflect.Message) error {
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
	holds, err := b.relation.Holds(value, member)
	switch {
	case err != nil:
		return fmt.Errorf("its relation to tctx %s: %w", b.memberName(), err)
	case !holds:
		return fmt.Errorf("is not in its relation to tctx %s", b.memberName())
	}
	return nil
}

func (b *binding) memberName() string { return strings.Join(b.member, ".") }
