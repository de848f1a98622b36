package rules

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/expression"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/trat"
)

// memberReader reads a member of tctx as the value that a relation sees; ok is false when it
// is of another type.
type memberReader func(trat.Value) (value any, ok bool)

// memberReaders returns what reads members as the whole of a field, and as one element of it
// if it is a list.
func memberReaders(field protoreflect.FieldDescriptor) (whole, element memberReader, err error) {
	read, err := binding.Reader(field)
	if err != nil {
		return nil, nil, err
	}
	if field.IsList() {
		element = checkedReader(read, expression.ElementReader(field))
		return listReader(element), element, nil
	}
	return checkedReader(read, expression.Reader(field)), nil, nil
}

func checkedReader(parse binding.Read, read expression.Read) memberReader {
	return func(member trat.Value) (any, bool) {
		v, ok := parse(member)
		if !ok {
			return nil, false
		}
		value, err := read(v)
		return value, err == nil
	}
}

// listReader reads lists.
func listReader(element memberReader) memberReader {
	return func(member trat.Value) (any, bool) {
		if !member.IsArray() {
			return nil, false
		}
		var values []ref.Val
		for e := range member.Elements() {
			v, ok := element(e)
			if !ok {
				return nil, false
			}
			values = append(values, expression.Of(v))
		}
		return types.NewRefValList(types.DefaultTypeAdapter, values), true
	}
}
