package main

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/grpc-trat/grpc-trat/internal/protoset"
)

// With this, a set has an option of somebody else that has the number of a rule.
func foreignOption(name, typeName string) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{
		Name: new(name), Number: new(int32(51180)), Extendee: new(".google.protobuf.MethodOptions"),
		Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), TypeName: new(typeName),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
}

func zeros(n int) string {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, n))
	_ = w.Close()
	return packed.String()
}

func TestHostileDescriptorSetsAreRefusedWithAReason(t *testing.T) {
	good := encodeSet(t, ordersSet(t))
	changed := func(change func(*descriptorpb.FileDescriptorSet)) string {
		set := ordersSet(t)
		change(set)
		return encodeSet(t, set)
	}
	orders := func(change func(*descriptorpb.FileDescriptorProto)) string {
		return changed(func(set *descriptorpb.FileDescriptorSet) { change(set.GetFile()[0]) })
	}
	deep := &descriptorpb.DescriptorProto{Name: new("A")}
	for range 200 {
		deep = &descriptorpb.DescriptorProto{Name: new("A"), NestedType: []*descriptorpb.DescriptorProto{deep}}
	}
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":           {"", "is empty"},
		"text":              {"syntax = \"proto3\";\n", "no descriptor set"},
		"JSON":              {`{"file": []}`, "no descriptor set"},
		"another message":   {"\x12\x03abc", "without files; make one with buf build"},
		"truncated":         {good[:len(good)-7], "no descriptor set"},
		"too long":          {strings.Repeat("\x00", 100<<20), "is longer than 33554432 bytes"},
		"too long unpacked": {zeros(100 << 20), "it is longer than 33554432 bytes"},
		"bad gzip":          {"\x1f\x8b\x00", "-: "},
		"no imports": {
			changed(func(set *descriptorpb.FileDescriptorSet) { set.File = set.GetFile()[:1] }),
			"acme/orders/v1/orders.proto imports trat/v1/rules.proto, which is not in the set; make one with buf build -o FILE, or with protoc --include_imports",
		},
		"a file twice": {changed(func(set *descriptorpb.FileDescriptorSet) { set.File = append(set.File, set.GetFile()[0]) }), "file appears multiple times"},
		"a type twice": {changed(func(set *descriptorpb.FileDescriptorSet) {
			other := proto.CloneOf(set.GetFile()[0])
			other.Name = new("other.proto")
			set.File = append(set.File, other)
		}), "what it describes is not valid"},
		"imports in a circle": {changed(func(set *descriptorpb.FileDescriptorSet) {
			set.File[1].Dependency = append(set.File[1].Dependency, "acme/orders/v1/orders.proto")
		}), "what it describes is not valid"},
		"deep nesting": {orders(func(f *descriptorpb.FileDescriptorProto) { f.MessageType = append(f.MessageType, deep) }), "no descriptor set"},
		"an unknown type": {orders(func(f *descriptorpb.FileDescriptorProto) {
			f.Service[0].Method[0].InputType = new(".acme.Gone")
		}), "acme.Gone"},
		"many files":            {changed(func(set *descriptorpb.FileDescriptorSet) { set.File = append(set.File, make20001()...) }), "more than 20000 files"},
		"a name for a terminal": {orders(func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Name = new("\x1b[2J") }), "what it describes is not valid"},
		"the number of another option": {orders(func(f *descriptorpb.FileDescriptorProto) {
			f.Dependency = append(f.Dependency, "google/protobuf/descriptor.proto")
			f.Extension = append(f.Extension, foreignOption("audited", ".acme.orders.v1.Order"))
		}), "the option acme.orders.v1.audited has the number 51180 on google.protobuf.MethodOptions, which is that of trat.v1.rule"},
		"the number in a message": {orders(func(f *descriptorpb.FileDescriptorProto) {
			f.Dependency = append(f.Dependency, "google/protobuf/descriptor.proto")
			f.MessageType[0].Extension = append(f.MessageType[0].Extension, foreignOption("audited", ".acme.orders.v1.Order"))
		}), "the option acme.orders.v1.CreateRequest.audited has the number 51180"},
		"our name for another type": {changed(func(set *descriptorpb.FileDescriptorSet) {
			for _, f := range set.GetFile() {
				if f.GetName() == "trat/v1/rules.proto" {
					f.Extension[0].TypeName = new(".trat.v1.Binding")
				}
			}
		}), "the option trat.v1.rule is not that of trat/v1/rules.proto: want trat.v1.Rule of the number 51180"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runTrat(t, tt.text, "rules", "list", "-")
			got.want(t, exitFailed, "", "")
			if !strings.Contains(got.stderr, tt.want) || strings.Contains(got.stderr, `\u00a0`) || len(got.stderr) > 1000 {
				t.Errorf("want %q, got %q", tt.want, got.stderr)
			}
		})
	}
}

func make20001() []*descriptorpb.FileDescriptorProto {
	files := make([]*descriptorpb.FileDescriptorProto, 20001)
	for i := range files {
		files[i] = &descriptorpb.FileDescriptorProto{Name: new(strconv.Itoa(i))}
	}
	return files
}

// Whatever the file, reading it ends, and what is printed of it is text that moves no cursor.
func FuzzDescriptorSet(f *testing.F) {
	good := ordersSet(f)
	f.Add([]byte(encodeSet(f, good)))
	good.File = good.GetFile()[:1]
	f.Add([]byte(encodeSet(f, good)))
	f.Add([]byte(encodeSet(f, &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: new("a.proto"), MessageType: []*descriptorpb.DescriptorProto{{Name: new("A")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: new("M"), InputType: new(".A"), OutputType: new(".A"),
		}}}},
	}}})))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := protoset.Parse(data)
		if err != nil {
			return
		}
		set := readRules(files, nil)
		var view rulesView
		for _, service := range set.services {
			if err := view.add(newServiceView(service, set.methods[service.FullName()])); err != nil {
				t.Error(err)
			}
		}
		var text, page strings.Builder
		if err := outputText.show(&text, view, view.write); err != nil {
			t.Error(err)
		}
		if err := outputJSON.show(&page, view, view.page); err != nil {
			t.Error(err)
		}
		if set.err() == nil && len(newComparison(set.all(), set.all()).Loosenings) > 0 {
			t.Error("rules are looser than themselves")
		}
	})
}
