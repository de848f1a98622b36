package binding

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/options"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
)

// Declared returns the bindings that the fields of a message have by option, its own
// and those of singular messages in it, with Field from input on. An option that would be
// in force for no field or for many is an error: in the message of a list or map, in a
// message that contains itself, in one that is bound as a whole, on an extension or in one.
// Members are not looked at beyond being named.
func Declared(input protoreflect.MessageDescriptor) ([]Binding, error) {
	w := optionWalk{inside: make(map[protoreflect.MessageDescriptor]protoreflect.FieldDescriptor)}
	if input != nil {
		w.message(input, "", nil)
	}
	return w.found, errors.Join(w.errs...)
}

type optionWalk struct {
	found []Binding
	errs  []error
	// inside has, for a type, a field with the option in it or in what it contains.
	inside map[protoreflect.MessageDescriptor]protoreflect.FieldDescriptor
}

func (w *optionWalk) fail(name, format string, args ...any) {
	w.errs = append(w.errs, fmt.Errorf("field %s: %s", syntax.Shown(name), fmt.Sprintf(format, args...)))
}

// message adds the bindings of a message that is reached through the types in within.
func (w *optionWalk) message(message protoreflect.MessageDescriptor, prefix string, within []protoreflect.MessageDescriptor) {
	for _, extension := range extensionsOf(message) {
		w.extension(prefix+string(extension.Name()), extension)
	}
	within = append(slices.Clip(within), message)
	for i := range message.Fields().Len() {
		// More than this is refused anyway, and types in types multiply.
		if len(w.found) > syntax.MaxEntries || len(w.errs) > syntax.MaxEntries {
			return
		}
		field := message.Fields().Get(i)
		name := prefix + string(field.Name())
		option, err := options.Field(field)
		if err != nil {
			w.errs = append(w.errs, err)
			continue
		}
		if option != nil {
			w.add(name, option)
		}
		if field.Message() == nil {
			continue
		}
		hidden := w.boundInside(field.Message())
		switch {
		case hidden == nil:
		case option != nil:
			w.fail(name, "is bound as a whole, and so is %s in it", hidden.FullName())
		case field.Cardinality() == protoreflect.Repeated:
			w.fail(name, "%s in it is bound, which in a list or map is no single field: bind %s as a whole", hidden.FullName(), field.FullName())
		case slices.Contains(within, field.Message()):
			w.fail(name, "%s in it is bound, which in a message that contains itself is no single field", hidden.FullName())
		default:
			w.message(field.Message(), name+".", within)
		}
	}
}

// extension refuses an extension with the option on it or in its message.
func (w *optionWalk) extension(name string, extension protoreflect.FieldDescriptor) {
	if isBound(extension) {
		w.fail(name, "%s: an extension cannot be bound", extension.FullName())
		return
	}
	if extension.Message() == nil {
		return
	}
	if hidden := w.boundInside(extension.Message()); hidden != nil {
		w.fail(name, "%s in it is bound, and what is in the extension %s cannot be", hidden.FullName(), extension.FullName())
	}
}

func (w *optionWalk) add(name string, option *tratv1.Binding) {
	if option.GetTctx() == "" {
		w.fail(name, "the option names no member of tctx")
		return
	}
	w.found = append(w.found, Of(name, option))
}

// boundInside returns a field with the option in message or in anything that it contains,
// extensions included; nil when there is none.
func (w *optionWalk) boundInside(message protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	if field, known := w.inside[message]; known {
		return field
	}
	// Breadth first over all types that can be reached, each once.
	todo := []protoreflect.MessageDescriptor{message}
	for next := 0; next < len(todo); next++ {
		fields := extensionsOf(todo[next])
		for i := range todo[next].Fields().Len() {
			fields = append(fields, todo[next].Fields().Get(i))
		}
		for _, field := range fields {
			if isBound(field) {
				w.inside[message] = field
				return field
			}
			if inner := field.Message(); inner != nil && !slices.Contains(todo, inner) {
				todo = append(todo, inner)
			}
		}
	}
	w.inside[message] = nil
	return nil
}

// extensionsOf returns the extensions of a message among all that the program knows.
func extensionsOf(message protoreflect.MessageDescriptor) (extensions []protoreflect.FieldDescriptor) {
	if message.ExtensionRanges().Len() == 0 {
		return nil
	}
	protoregistry.GlobalTypes.RangeExtensionsByMessage(message.FullName(), func(extension protoreflect.ExtensionType) bool {
		extensions = append(extensions, extension.TypeDescriptor())
		return true
	})
	return extensions
}

// isBound reports whether a field has the option, be it one that cannot be read.
func isBound(field protoreflect.FieldDescriptor) bool {
	option, err := options.Field(field)
	return option != nil || err != nil
}
