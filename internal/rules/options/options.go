// Package options reads the options of rules.proto from descriptors, of generated code or
// read from a file.
package options

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

// ownExtensions are the options of rules.proto and no others.
var ownExtensions = func() *protoregistry.Types {
	types := new(protoregistry.Types)
	for _, extension := range []protoreflect.ExtensionType{tratv1.E_Rule, tratv1.E_DefaultRule, tratv1.E_Bind} {
		if err := types.RegisterExtension(extension); err != nil {
			panic(err) // they are three different ones
		}
	}
	return types
}()

// Method returns the rule option of a method, nil if it has none, and how errors name
// the place.
func Method(method protoreflect.MethodDescriptor) (*tratv1.Rule, string, error) {
	where := "option (trat.v1.rule) of " + string(method.FullName())
	rule, err := option[*tratv1.Rule](method.Options(), &descriptorpb.MethodOptions{}, tratv1.E_Rule, where)
	return rule, where, err
}

// Service is Method for the default of a service.
func Service(service protoreflect.Descriptor) (*tratv1.Rule, string, error) {
	where := "option (trat.v1.default_rule) of " + string(service.FullName())
	rule, err := option[*tratv1.Rule](service.Options(), &descriptorpb.ServiceOptions{}, tratv1.E_DefaultRule, where)
	return rule, where, err
}

// Field returns the bind option of a field, nil if it has none.
func Field(field protoreflect.FieldDescriptor) (*tratv1.Binding, error) {
	return option[*tratv1.Binding](field.Options(), &descriptorpb.FieldOptions{}, tratv1.E_Bind, "option (trat.v1.bind) of "+string(field.FullName()))
}

// option returns an extension of options, nil if it is not there. Descriptors that were
// read from a file have it as unknown bytes, or as a type that was made from the file; so
// what counts is what the options are on the wire.
func option[M proto.Message](options protoreflect.ProtoMessage, typed proto.Message, extension protoreflect.ExtensionType, where string) (none M, err error) {
	number := extension.TypeDescriptor().Number()
	var foreign protoreflect.FullName
	options.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if field.Number() == number && field.FullName() != extension.TypeDescriptor().FullName() {
			foreign = field.FullName()
		}
		return foreign == ""
	})
	if foreign != "" {
		return none, fmt.Errorf("%s: number %d is the option (%s) there", where, number, foreign)
	}
	wire, err := proto.MarshalOptions{AllowPartial: true}.Marshal(options)
	if err == nil && len(wire) == 0 {
		return none, nil
	}
	if err == nil {
		err = proto.UnmarshalOptions{AllowPartial: true, Resolver: ownExtensions}.Unmarshal(wire, typed)
	}
	if err != nil {
		return none, fmt.Errorf("%s: cannot be read: %w", where, err)
	}
	if !proto.HasExtension(typed, extension) {
		if hasNumber(typed.ProtoReflect().GetUnknown(), number) {
			return none, fmt.Errorf("%s: number %d is no message there", where, number)
		}
		return none, nil
	}
	found, ok := proto.GetExtension(typed, extension).(M)
	if !ok {
		return none, fmt.Errorf("%s: is of another type", where)
	}
	if name, ok := unknownField(found.ProtoReflect()); ok {
		return none, fmt.Errorf("%s: %s has a field that this program does not know, and cannot leave out: "+
			"it is of a newer rules.proto, or another option has number %d", where, name, number)
	}
	return found, nil
}

// hasNumber reports whether fields on the wire include one of a number.
func hasNumber(wire []byte, number protowire.Number) bool {
	for len(wire) > 0 {
		found, _, n := protowire.ConsumeField(wire)
		if found == number || n < 0 {
			return true
		}
		wire = wire[n:]
	}
	return false
}

// unknownField returns the name of a message in m, or of m itself, with fields that are not
// in its descriptor. A demand that cannot be read must not be dropped.
func unknownField(m protoreflect.Message) (name protoreflect.FullName, found bool) {
	if len(m.GetUnknown()) > 0 {
		return m.Descriptor().FullName(), true
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				if name, found = unknownField(value.List().Get(i).Message()); found {
					break
				}
			}
		default:
			name, found = unknownField(value.Message())
		}
		return !found
	})
	return name, found
}
