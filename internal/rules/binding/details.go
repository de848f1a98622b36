package binding

import (
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Details returns the parameters of a transaction that message is to be allowed in: for each
// field of it that is bound by equality, the member with its value. What a method binds
// from outside, in its rule, is no part of them. The result satisfies the bindings that
// it was made from.
//
// Errors are an *trat.Error that names the field: PARAMETER_MISSING for one that is not set
// and must be, PARAMETER_INVALID for one that no TraT can hold, or whose member another
// field has with another value. PARAMETER_INVALID without a field says that the type of
// message binds none by equality, or not in a way that can be put in force.
func Details(message proto.Message) (trat.Object, error) {
	if message == nil {
		return trat.Object{}, trat.Errorf(trat.ReasonParameterInvalid, "", "no message")
	}
	m := message.ProtoReflect()
	d, err := detailsOf(m.Descriptor())
	if err != nil {
		return trat.Object{}, err
	}
	return d.of(m)
}

// details makes the parameters for messages of one type.
type details struct {
	bindings *Set
	root     detail
}

// detail is a member of the parameters: an object of members, or what is bound to it.
type detail struct {
	name    string
	below   []*detail
	binding *binding // the first of those that are bound to it
}

// knownDetails has the *details of message types that are part of the program, of which
// there is a bounded number.
var knownDetails sync.Map

func detailsOf(message protoreflect.MessageDescriptor) (*details, error) {
	if known, ok := knownDetails.Load(message); ok {
		d, _ := known.(*details)
		return d, nil
	}
	d, err := newDetails(message)
	if err != nil {
		return nil, err
	}
	if t, err := protoregistry.GlobalTypes.FindMessageByName(message.FullName()); err == nil && t.Descriptor() == message {
		knownDetails.Store(message, d)
	}
	return d, nil
}

func newDetails(message protoreflect.MessageDescriptor) (*details, error) {
	invalid := func(err error) error { return &trat.Error{Reason: trat.ReasonParameterInvalid, Err: err} }
	list, err := Declared(message)
	if err != nil {
		return nil, invalid(err)
	}
	equal := list[:0]
	for _, b := range list {
		if b.Relation == "" {
			equal = append(equal, b)
		}
	}
	if len(equal) == 0 {
		return nil, trat.Errorf(trat.ReasonParameterInvalid, "", "%s has no field that is bound by equality", message.FullName())
	}
	compiled, err := Compile(equal, message, nil)
	if err != nil {
		return nil, invalid(err)
	}
	d := &details{bindings: compiled}
	for i := range compiled.list {
		d.root.add(&compiled.list[i], compiled.list[i].member)
	}
	return d, nil
}

// add puts a binding at its place below d.
func (d *detail) add(b *binding, path []string) {
	if len(path) == 0 {
		if d.binding == nil {
			d.binding = b
		}
		return
	}
	for _, known := range d.below {
		if known.name == path[0] {
			known.add(b, path[1:])
			return
		}
	}
	next := &detail{name: path[0]}
	d.below = append(d.below, next)
	next.add(b, path[1:])
}

func (d *details) of(message protoreflect.Message) (trat.Object, error) {
	w := jsonWriter{}
	if err := d.root.write(&w, message); err != nil {
		return trat.Object{}, err
	}
	object, err := trat.ParseObject(string(w.buf))
	if err != nil {
		return trat.Object{}, err
	}
	// Members that several fields are bound to have the value of the first: the check knows
	// whether it is that of the others.
	if err := d.bindings.Check(object, message); err != nil {
		invalid := trat.Errorf(trat.ReasonParameterInvalid, "", "another field that is bound to the same member of tctx has another value")
		if denied, ok := errors.AsType[*trat.Error](err); ok {
			invalid.Field = denied.Field
		}
		return trat.Object{}, invalid
	}
	return object, nil
}

// write writes the object of what is below d.
func (d *detail) write(w *jsonWriter, message protoreflect.Message) error {
	if err := w.open('{'); err != nil {
		return &trat.Error{Reason: trat.ReasonParameterInvalid, Err: err}
	}
	for _, member := range d.below {
		if member.binding != nil {
			if err := member.writeValue(w, message); err != nil {
				return err
			}
			continue
		}
		before := len(w.buf)
		_ = w.next() // what is below says so too
		_ = w.name(member.name)
		empty := len(w.buf) + len("{}")
		if err := member.write(w, message); err != nil {
			return err
		}
		if len(w.buf) == empty {
			w.buf = w.buf[:before]
		}
	}
	_ = w.close('}') // the whole is read again
	return nil
}

// writeValue writes the member that a field is bound to.
func (d *detail) writeValue(w *jsonWriter, message protoreflect.Message) error {
	b := d.binding
	invalid := func(err error) error {
		return &trat.Error{Reason: trat.ReasonParameterInvalid, Field: b.name, Err: err}
	}
	value, set, err := b.get(message)
	switch {
	case err != nil:
		return invalid(err)
	case !set && b.optional:
		return nil
	case !set:
		return trat.Errorf(trat.ReasonParameterMissing, b.name, "is not set")
	}
	if err = w.next(); err == nil {
		err = w.name(d.name)
	}
	if err == nil {
		err = b.form.write(w, value)
	}
	if err != nil {
		return invalid(err)
	}
	return nil
}
