package expression

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Messages tells CEL the types that a message type is made of, and the values of their
// enums. It is immutable and safe for concurrent use.
//
// Messages, generated or dynamic, are read through reflection and never copied. Wrappers
// are scalars or null, Timestamp and Duration times, Struct, Value and ListValue JSON, enums
// integers. Of all other messages only fields can be asked for, and Any cannot be read.
type Messages struct {
	*types.Registry
	files []protoreflect.FileDescriptor
}

// NewMessages returns the types of a message type, none if it is nil.
func NewMessages(root protoreflect.Descriptor) *Messages {
	m := &Messages{Registry: types.NewEmptyRegistry()}
	if root != nil {
		m.add(root.ParentFile(), make(map[string]bool))
	}
	return m
}

func (m *Messages) add(file protoreflect.FileDescriptor, seen map[string]bool) {
	if file == nil || file.IsPlaceholder() || seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	m.files = append(m.files, file)
	for i := range file.Imports().Len() {
		m.add(file.Imports().Get(i).FileDescriptor, seen)
	}
}

// FieldType returns the type of a field.
func FieldType(fd protoreflect.FieldDescriptor) *types.Type {
	switch {
	case fd.IsList():
		return types.NewListType(ElementType(fd))
	case fd.IsMap():
		return types.NewMapType(ElementType(fd.MapKey()), ElementType(fd.MapValue()))
	}
	return ElementType(fd)
}

// ElementType returns the type of a field, or of one element if it is repeated.
func ElementType(fd protoreflect.FieldDescriptor) *types.Type {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return MessageType(fd.Message())
	case protoreflect.BoolKind:
		return types.BoolType
	case protoreflect.StringKind:
		return types.StringType
	case protoreflect.BytesKind:
		return types.BytesType
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return types.DoubleType
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return types.UintType
	default: // enums too
		return types.IntType
	}
}

// MessageType returns the type of a message.
func MessageType(md protoreflect.MessageDescriptor) *types.Type {
	return types.NewObjectType(string(md.FullName()))
}

// find returns what is declared by that name.
func (m *Messages) find(name string) protoreflect.Descriptor {
	for _, file := range m.files {
		local, ok := strings.CutPrefix(name, string(file.Package())+".")
		if file.Package() == "" {
			local, ok = name, true
		}
		if !ok {
			continue
		}
		var in interface {
			Messages() protoreflect.MessageDescriptors
			Enums() protoreflect.EnumDescriptors
		} = file
		for {
			head, rest, nested := strings.Cut(local, ".")
			message := in.Messages().ByName(protoreflect.Name(head))
			if !nested && message != nil {
				return message
			}
			if message == nil {
				enum := in.Enums().ByName(protoreflect.Name(head))
				switch {
				case enum == nil:
				case nested:
					if v := enum.Values().ByName(protoreflect.Name(rest)); v != nil {
						return v
					}
				default:
					return enum
				}
				break
			}
			in, local = message, rest
		}
	}
	return nil
}

func (m *Messages) message(name string) (protoreflect.MessageDescriptor, bool) {
	md, ok := m.find(name).(protoreflect.MessageDescriptor)
	return md, ok
}

// FindIdent implements types.Provider: values of enums by their name below the enum's.
func (m *Messages) FindIdent(name string) (ref.Val, bool) {
	if v, ok := m.find(name).(protoreflect.EnumValueDescriptor); ok {
		return types.Int(v.Number()), true
	}
	return nil, false
}

// EnumValue implements types.Provider.
func (m *Messages) EnumValue(name string) ref.Val {
	if v, ok := m.FindIdent(name); ok {
		return v
	}
	return types.NewErrFromString("there is no such value of an enum")
}

// FindStructType implements types.Provider.
func (m *Messages) FindStructType(name string) (*types.Type, bool) {
	md, ok := m.message(name)
	if !ok {
		return nil, false
	}
	return types.NewTypeTypeWithParam(MessageType(md)), true
}

// FindStructFieldNames implements types.Provider.
func (m *Messages) FindStructFieldNames(name string) ([]string, bool) {
	md, ok := m.message(name)
	if !ok {
		return nil, false
	}
	var names []string
	for i := range md.Fields().Len() {
		names = append(names, string(md.Fields().Get(i).Name()))
	}
	return names, true
}

// FindStructFieldType implements types.Provider.
func (m *Messages) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	md, ok := m.message(name)
	if !ok {
		return nil, false
	}
	fd := md.Fields().ByName(protoreflect.Name(field))
	if fd == nil {
		return nil, false
	}
	read := Reader(fd)
	return &types.FieldType{
		Type: FieldType(fd),
		IsSet: func(target any) bool {
			m, ok := target.(protoreflect.Message)
			return ok && m.Descriptor() == md && m.Has(fd)
		},
		GetFrom: func(target any) (any, error) {
			m, ok := target.(protoreflect.Message)
			if !ok || m.Descriptor() != md {
				return nil, errNoMessage
			}
			return read(m.Get(fd))
		},
	}, true
}

// NewValue implements types.Provider: there are no values to be made.
func (m *Messages) NewValue(string, map[string]ref.Val) ref.Val {
	return types.NewErrFromString("no value can be made of this type")
}

// NativeToValue implements types.Adapter.
func (m *Messages) NativeToValue(v any) ref.Val {
	if m, ok := v.(protoreflect.Message); ok {
		return message{m}
	}
	return m.Registry.NativeToValue(v)
}

// InspectMessages finds messages that are taken as values, and Any.
func InspectMessages(checked *ast.AST, report Report) {
	holds := func(e ast.Expr) bool { return contains(checked.GetType(e.ID()), types.StructKind) }
	Walk(checked, func(e ast.Expr) {
		if contains(checked.GetType(e.ID()), types.AnyKind) {
			report(e, "google.protobuf.Any cannot be read")
		}
		for _, part := range parts(checked, e) {
			if holds(part) && !holds(e) {
				report(part, "a message is not a value by itself: name one of its fields")
			}
		}
	})
}

// parts are what an expression takes as values and hands on or looks into.
func parts(checked *ast.AST, e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case operators.Index, overloads.Size:
			return nil // of a list or map that is not looked into
		case operators.In:
			if checked.GetType(args[1].ID()).Kind() == types.MapKind {
				return args[:1] // only keys are compared
			}
		}
		if call.IsMemberFunction() {
			args = append([]ast.Expr{call.Target()}, args...)
		}
		return args
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var values []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			values = append(values, entry.AsMapEntry().Value())
		}
		return values
	default:
		return nil
	}
}

func contains(t *types.Type, kind types.Kind) bool {
	if t.Kind() == kind {
		return true
	}
	for _, p := range t.Parameters() {
		if contains(p, kind) {
			return true
		}
	}
	return false
}
