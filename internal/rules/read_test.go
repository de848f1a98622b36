package rules

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
)

var (
	ofMethod  = Source{Kind: FromMethod, Where: "pkg.Svc.Get"}
	ofService = Source{Kind: FromService, Where: "pkg.Svc"}
	ofField   = Source{Kind: FromField, Where: "pkg.Request.id"}
)

// Covers VER-18.
func TestRuleOfAMethodIsItsOwnAndWhatItsServiceSays(t *testing.T) {
	for name, tt := range map[string]struct {
		written  written
		declared bool
		want     Rule
	}{
		"nothing": {},
		"a field only": {
			written: written{bind: `tctx: "a.b" optional: true`},
			want:    Rule{Bindings: []Binding{{Field: "id", Tctx: "a.b", Optional: true}}, Sources: []Source{ofField}},
		},
		"a rule that says nothing": {
			written: written{rule: "{}"}, declared: true,
			want: Rule{Sources: []Source{ofMethod}},
		},
		"a default that says nothing": {
			written: written{byDefault: "{}"}, declared: true,
			want: Rule{Sources: []Source{ofService}},
		},
		"the default": {
			written: written{byDefault: `scopes: "a" callers: "/x" any_scopes: ["b", "c"]`}, declared: true,
			want: Rule{
				Scopes: []string{"a"}, AnyScopes: [][]string{{"b", "c"}}, Callers: [][]string{{"/x"}},
				Sources: []Source{ofService},
			},
		},
		"what the method says, whole": {
			written: written{
				byDefault: `scopes: "a" tctx: "x" chain { mode: CHAIN_MODE_PATH max_links: 2 }`,
				rule:      `scopes: "b" chain { strict_trace: true } replay: REPLAY_OFF`,
			},
			declared: true,
			want: Rule{
				Scopes: []string{"b"}, Tctx: []string{"x"}, Chain: Chain{StrictTrace: true}, Replay: ReplayOff,
				Sources: []Source{ofMethod, ofService},
			},
		},
		"a default that the method says nothing new beside": {
			written: written{byDefault: `scopes: "a"`, rule: `scopes: "b"`}, declared: true,
			want: Rule{Scopes: []string{"b"}, Sources: []Source{ofMethod}},
		},
		"an exemption takes nothing from the default": {
			written: written{byDefault: `scopes: "a"`, rule: `exempt { reason: "public" }`}, declared: true,
			want: Rule{Exempt: "public", Sources: []Source{ofMethod}},
		},
		"a default for streams is not for unary methods": {
			written: written{byDefault: `scopes: "a" stream { drain { seconds: 1 } }`}, declared: true,
			want: Rule{Scopes: []string{"a"}, Sources: []Source{ofService}},
		},
		"a default for streams": {
			written:  written{byDefault: `stream { expiry: STREAM_EXPIRY_GRACE grace { seconds: 1 } }`, rule: `when: "1 > tctx.a"`, server: true},
			declared: true,
			want: Rule{
				Stream: Stream{Expiry: ExpiryGrace, Grace: time.Second}, When: []string{"1 > tctx.a"},
				Sources: []Source{ofMethod, ofService},
			},
		},
		"bindings of the rule and of the field": {
			written: written{
				rule: `bindings { field: "id" bind { tctx: "a" relation: "this in bound" } } bindings { field: "id" bind { tctx: "b" } }`,
				bind: `tctx: "b"`,
			},
			declared: true,
			want: Rule{
				Bindings: []Binding{{Field: "id", Tctx: "a", Relation: "this in bound"}, {Field: "id", Tctx: "b"}},
				Sources:  []Source{ofMethod, ofField},
			},
		},
		"the rest": {
			written: written{
				rule: `chain { mode: CHAIN_MODE_HEAD through: "/t" not_through: "/n" max_links: 1 } replay: REPLAY_ONCE enforcement: ENFORCEMENT_SHADOW
					stream { expiry: STREAM_EXPIRY_OPEN_ONLY max_age { seconds: 5 } drain { nanos: 5 } } access_evaluation { resource_type: "t" resource_id: "sub" }`,
				client: true,
			},
			declared: true,
			want: Rule{
				Chain:  Chain{Mode: ChainHead, Through: []string{"/t"}, NotThrough: []string{"/n"}, MaxLinks: 1},
				Replay: ReplayOnce, Enforcement: Shadow,
				Stream:     Stream{Expiry: ExpiryOpenOnly, MaxAge: 5 * time.Second, Drain: 5},
				Evaluation: &Evaluation{ResourceType: "t", ResourceID: "sub"},
				Sources:    []Source{ofMethod},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for form, method := range inEveryForm(t, tt.written) {
				got, declared, err := Of(method)
				if err != nil || declared != tt.declared {
					t.Fatalf("%s: declared %v, %v", form, declared, err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
			}
		})
	}
}

func TestRuleThatIsWrongIsReportedWithItsPlace(t *testing.T) {
	long := strings.Repeat("x", syntax.MaxText+1)
	many := strings.Repeat(`tctx: "a" `, syntax.MaxEntries+1)
	for name, tt := range map[string]struct {
		written written
		want    []string
	}{
		"scopes": {
			written{rule: `scopes: ["a b", "", "ok", "ok"] any_scopes: "ä"`},
			[]string{`option (trat.v1.rule) of pkg.Svc.Get: scopes[0]: "a b": is not one scope token`, `scopes[1]: "": `, `scopes[3]: "ok" is there twice`, `any_scopes[0]: "ä": `},
		},
		"in the default":            {written{byDefault: `scopes: " "`}, []string{"option (trat.v1.default_rule) of pkg.Svc: scopes[0]"}},
		"paths":                     {written{rule: `tctx: ["a..b", ".", "0a", "a.b-c", "` + strings.Repeat("a.", 14) + `a"]`}, []string{"tctx[0]", "tctx[1]", "tctx[2]", "tctx[4]: \"" + strings.Repeat("a.", 14) + "a\": more than 14 names"}},
		"a path from tctx on":       {written{rule: `tctx: ["tctx.a", "tctx"] bindings { field: "id" bind { tctx: "tctx.b" } }`}, []string{`tctx[0]: "tctx.a": paths begin below tctx`, `bindings[0]: field "id": tctx "tctx.b": paths begin below tctx`}},
		"a field bound from there":  {written{bind: `tctx: "tctx.order.id"`}, []string{`tctx "tctx.order.id": paths begin below tctx: leave "tctx." away`}},
		"callers":                   {written{rule: `callers: ["gateway", "https://x/y", "spiffe://td", "/a*", "/a//b", "/*", "spiffe://td/*/x"]`}, []string{"callers[0]: \"gateway\": want a SPIFFE ID, or a path", "callers[1]", "callers[2]", "callers[3]: \"/a*\": \"*\" is a whole segment only", "callers[4]"}},
		"half a wildcard":           {written{rule: `callers: ["/desk*", "/*/**", "spiffe://td/ns/*-x"]`}, []string{"callers[0]: \"/desk*\": \"*\" is a whole segment only", "callers[1]: \"/*/**\": \"*\" is a whole", "callers[2]: \"spiffe://td/ns/*-x\": \"*\" is a whole"}},
		"through":                   {written{rule: `chain { through: "x" not_through: "/" max_links: 7 }`}, []string{"chain.through[0]", "chain.not_through[0]", "chain.max_links: 7 is not 1 to 6"}},
		"huge max_links":            {written{rule: `chain { max_links: 4294967295 }`}, []string{"chain.max_links: 4294967295 is not 1 to 6"}},
		"enums":                     {written{rule: `chain { mode: 9 } replay: 9 stream { expiry: -1 } enforcement: 9`}, []string{"chain.mode: 9 is no value", "replay: 9", "stream.expiry: -1", "enforcement: 9"}},
		"grace without one":         {written{rule: `stream { expiry: STREAM_EXPIRY_GRACE }`, server: true}, []string{"stream.grace: is missing"}},
		"grace for another":         {written{rule: `stream { grace { seconds: 1 } }`, server: true}, []string{"stream.grace: is for STREAM_EXPIRY_GRACE only"}},
		"grace too long":            {written{rule: `stream { expiry: STREAM_EXPIRY_GRACE grace { seconds: 301 } }`, server: true}, []string{"stream.grace: want more than 0s and at most 5m0s"}},
		"no time":                   {written{rule: `stream { max_age {} drain { seconds: -1 } }`, server: true}, []string{"stream.max_age: want more than 0s", "stream.drain: want more than 0s"}},
		"no duration":               {written{rule: `stream { max_age { seconds: 1 nanos: -1 } }`, server: true}, []string{"stream.max_age"}},
		"conditions":                {written{rule: `when: [" ", "` + long + `"]`}, []string{"when[0]", `when[1]: "` + strings.Repeat("x", 80) + `"… is longer than 4096 bytes`}},
		"too many":                  {written{rule: many}, []string{"tctx: 65 entries, at most 64 are allowed", "tctx[1]: \"a\" is there twice"}},
		"bindings":                  {written{rule: `bindings {} bindings { field: "id" bind { tctx: "a" } } bindings { field: "id" bind { tctx: "a" optional: true } }`}, []string{`bindings[0]: field ""`, `bindings[0]: field "": tctx ""`, "bindings[2]: field \"id\": is bound to tctx \"a\" twice"}},
		"binding twice":             {written{rule: `bindings { field: "id" bind { tctx: "a" optional: true } }`, bind: `tctx: "a"`}, []string{"bindings: id = tctx.a, or both absent by method option pkg.Svc.Get, but id = tctx.a by field option pkg.Request.id"}},
		"evaluation":                {written{rule: `access_evaluation { resource_id: "` + long + `" }`}, []string{"access_evaluation.resource_id: longer"}},
		"exempt without a reason":   {written{rule: `exempt {}`}, []string{"exempt.reason: is missing"}},
		"exempt with a blank one":   {written{rule: `exempt { reason: " " }`}, []string{"exempt.reason: is missing"}},
		"exempt beside another":     {written{rule: `exempt { reason: "x" } scopes: "a"`}, []string{"exempt: stands alone"}},
		"exempt with a bound field": {written{rule: `exempt { reason: "x" }`, bind: `tctx: "a"`}, []string{`exempt: but its request has bound fields, "id"`}},
		"a field bound to nothing":  {written{bind: `{}`}, []string{`names no member of tctx`}},
	} {
		t.Run(name, func(t *testing.T) {
			rule, _, err := Of(tt.written.method(t))
			if err == nil {
				t.Fatalf("no error, but %+v", rule)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
			if diff := cmp.Diff(Rule{}, rule); diff != "" {
				t.Errorf("a rule beside the error: %s", diff)
			}
		})
	}
}

// The option is beside a field of a message that many requests may have.
func TestOptionOfAFieldInAMessageIsReportedWithThatField(t *testing.T) {
	file := written{bind: `tctx: "book..isbn"`}.file(t)
	book := proto.CloneOf(file.GetMessageType()[0])
	book.Name = new("Book")
	file.MessageType = append(file.MessageType, book, &descriptorpb.DescriptorProto{
		Name: new("Borrow"),
		Field: []*descriptorpb.FieldDescriptorProto{{
			Name: new("book"), Number: proto.Int32(1), TypeName: new(".pkg.Book"),
			Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}},
	})
	file.GetService()[0].GetMethod()[0].InputType = new(".pkg.Borrow")
	_, _, err := Of(methodIn(t, file))
	const want = `option (trat.v1.bind) of pkg.Book.id, in pkg.Borrow: field "book.id": tctx "book..isbn": want names joined by dots`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("no %q in %v", want, err)
	}
}

func TestRequestHasABoundOfBoundFields(t *testing.T) {
	file := written{bind: `tctx: "a"`}.file(t)
	request := file.GetMessageType()[0]
	for i := range int32(syntax.MaxEntries) {
		field := proto.CloneOf(request.GetField()[0])
		field.Name, field.Number = new("id"+strconv.Itoa(int(i))), new(i+2)
		request.Field = append(request.Field, field)
	}
	_, _, err := Of(methodIn(t, file))
	if err == nil || !strings.Contains(err.Error(), "pkg.Request: 65 or more bound fields, at most 64 are allowed") {
		t.Errorf("%v", err)
	}
}

func TestDefaultOfAServiceIsNoExemption(t *testing.T) {
	for name, tt := range map[string]struct{ byDefault, want string }{
		"none":           {"", ""},
		"a good one":     {`scopes: "a"`, ""},
		"an exemption":   {`exempt { reason: "x" }`, "option (trat.v1.default_rule) of pkg.Svc: exempt: a default cannot be an exemption"},
		"a scope of two": {`scopes: "a b"`, "scopes[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			method := written{byDefault: tt.byDefault}.method(t)
			err := CheckService(method.Parent().(protoreflect.ServiceDescriptor))
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
	rule, declared, err := Of(written{byDefault: `exempt { reason: "x" }`}.method(t))
	if err != nil || !declared || rule.Exempt != "" {
		t.Errorf("a method is exempt by default: %+v, %v, %v", rule, declared, err)
	}
}

// What this program does not know may be a demand.
func TestOptionThatIsNotUnderstoodIsAnError(t *testing.T) {
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 500, protowire.VarintType), 1)
	inChain := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), unknown)
	inBindings := protowire.AppendBytes(protowire.AppendTag(nil, 10, protowire.BytesType), unknown)
	extension := func(value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 51180, protowire.BytesType), value)
	}
	for name, wire := range map[string][]byte{
		"an unknown field":            extension(unknown),
		"an unknown field of a chain": extension(inChain),
		"an unknown field in a list":  extension(inBindings),
		"a number for another thing":  protowire.AppendVarint(protowire.AppendTag(nil, 51180, protowire.VarintType), 1),
		"bytes that are no rule":      extension([]byte{0xff}),
	} {
		t.Run(name, func(t *testing.T) {
			method, service, field := new(descriptorpb.MethodOptions), new(descriptorpb.ServiceOptions), new(descriptorpb.FieldOptions)
			for place, options := range map[string]proto.Message{"method": method, "service": service, "field": field} {
				if name == "an unknown field of a chain" && place == "field" || name == "an unknown field in a list" && place == "field" {
					continue // to a binding it is an unknown field as any
				}
				options.ProtoReflect().SetUnknown(wire)
				rule, _, err := Of(methodIn(t, fileOf(service, method, field, false, false)))
				if err == nil {
					t.Errorf("%s: no error, but %+v", place, rule)
				}
				options.ProtoReflect().SetUnknown(nil)
			}
		})
	}
}

func TestNumberOfAnotherOptionIsNotTakenForARule(t *testing.T) {
	foreign := &descriptorpb.FileDescriptorProto{
		Name: new("foreign.proto"), Package: new("other"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/descriptor.proto"},
		Extension: []*descriptorpb.FieldDescriptorProto{{
			Name: new("theirs"), Number: proto.Int32(51180), Extendee: new(".google.protobuf.MethodOptions"),
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}},
	}
	f, err := protodesc.NewFile(foreign, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	options := new(descriptorpb.MethodOptions)
	proto.SetExtension(options, dynamicpb.NewExtensionType(f.Extensions().Get(0)), "")
	_, _, err = Of(methodIn(t, fileOf(nil, options, nil, false, false)))
	if err == nil || !strings.Contains(err.Error(), "number 51180 is the option (other.theirs) there") {
		t.Errorf("%v", err)
	}
}

// Covers VER-18.
func TestRulesOfGeneratedServicesCanBeReadAndCompiled(t *testing.T) {
	for _, file := range []protoreflect.FileDescriptor{shopv1.File_shop_v1_shop_proto, rulestestv1.File_rulestest_v1_model_proto} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			if err := CheckService(service); err != nil {
				t.Error(err)
			}
			for j := range service.Methods().Len() {
				rule, declared, err := Of(service.Methods().Get(j))
				if err != nil || !declared {
					t.Errorf("%s: declared %v, %v", service.Methods().Get(j).FullName(), declared, err)
					continue
				}
				target := TargetOf(service.Methods().Get(j))
				target.TrustDomain = anyTrustDomain
				if _, err := Compile(rule, target); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
