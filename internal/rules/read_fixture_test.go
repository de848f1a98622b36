package rules

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

// written is a service of one method, with rules as they stand in a proto file.
type written struct {
	byDefault, rule string // "" is none, "{}" one that says nothing
	bind            string // of the request's field "id"
	client, server  bool
}

func (w written) options(tb testing.TB) (*descriptorpb.ServiceOptions, *descriptorpb.MethodOptions, *descriptorpb.FieldOptions) {
	tb.Helper()
	service, method, field := new(descriptorpb.ServiceOptions), new(descriptorpb.MethodOptions), new(descriptorpb.FieldOptions)
	for _, o := range []struct {
		text, name string
		to         proto.Message
	}{{w.byDefault, "default_rule", service}, {w.rule, "rule", method}, {w.bind, "bind", field}} {
		if o.text == "" {
			continue
		}
		if err := prototext.Unmarshal([]byte("[trat.v1."+o.name+"] {"+strings.TrimPrefix(o.text, "{}")+"}"), o.to); err != nil {
			tb.Fatal(err)
		}
	}
	return service, method, field
}

// file is the service as a file.
func (w written) file(tb testing.TB) *descriptorpb.FileDescriptorProto {
	tb.Helper()
	service, method, field := w.options(tb)
	return fileOf(service, method, field, w.client, w.server)
}

func fileOf(
	service *descriptorpb.ServiceOptions, method *descriptorpb.MethodOptions, field *descriptorpb.FieldOptions, client, server bool,
) *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{
		Name: new("written.proto"), Package: new("pkg"), Syntax: new("proto3"),
		Dependency: []string{"trat/v1/rules.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: new("Request"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: new("id"), Number: proto.Int32(1), Options: field,
				Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("Svc"), Options: service,
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: new("Get"), InputType: new(".pkg.Request"), OutputType: new(".pkg.Request"),
				Options: method, ClientStreaming: new(client), ServerStreaming: new(server),
			}},
		}},
	}
}

func methodIn(tb testing.TB, file *descriptorpb.FileDescriptorProto) protoreflect.MethodDescriptor {
	tb.Helper()
	f, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		tb.Fatal(err)
	}
	return f.Services().Get(0).Methods().Get(0)
}

func (w written) method(tb testing.TB) protoreflect.MethodDescriptor {
	tb.Helper()
	return methodIn(tb, w.file(tb))
}

// inEveryForm is the method as generated code has it, and as programs have it that read a
// file: without knowing the options, and with options of types that were read as well.
func inEveryForm(t *testing.T, w written) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	file := w.file(t)
	wire, err := proto.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	// All types out of copies of the descriptors, as from a file.
	files := new(protoregistry.Files)
	for _, known := range []protoreflect.FileDescriptor{
		descriptorpb.File_google_protobuf_descriptor_proto, tratv1.File_trat_v1_rules_proto.Imports().Get(1).FileDescriptor, tratv1.File_trat_v1_rules_proto,
	} {
		loaded, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(known), files)
		if err != nil {
			t.Fatal(err)
		}
		if err := files.RegisterFile(loaded); err != nil {
			t.Fatal(err)
		}
	}
	forms := map[string]protoreflect.MethodDescriptor{"generated": methodIn(t, file)}
	for form, resolver := range map[string]protoregistry.ExtensionTypeResolver{
		"unknown": new(protoregistry.Types), "dynamic": dynamicpb.NewTypes(files),
	} {
		loaded := new(descriptorpb.FileDescriptorProto)
		options := proto.UnmarshalOptions{Resolver: struct {
			protoregistry.MessageTypeResolver
			protoregistry.ExtensionTypeResolver
		}{new(protoregistry.Types), resolver}}
		if err := options.Unmarshal(wire, loaded); err != nil {
			t.Fatal(err)
		}
		forms[form] = methodIn(t, loaded)
	}
	return forms
}
