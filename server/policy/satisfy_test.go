package policy_test

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// kinds is the message that has a field of every kind.
var (
	kinds     = (&rulestestv1.Kinds{}).ProtoReflect().Descriptor()
	kindsName = string(kinds.FullName())
)

// services describes the service test.v1.Orders, whose methods have these rules, as text
// of a trat.v1.Rule, and Kinds as request; "" is no rule.
func services(tb testing.TB, rules map[string]string) *protoregistry.Files {
	tb.Helper()
	service := &descriptorpb.ServiceDescriptorProto{Name: new("Orders")}
	for name, text := range rules {
		method := &descriptorpb.MethodDescriptorProto{
			Name: &name, InputType: new("." + kindsName), OutputType: new("." + kindsName),
		}
		if text != "" {
			rule := new(tratv1.Rule)
			if err := prototext.Unmarshal([]byte(text), rule); err != nil {
				tb.Fatal(err)
			}
			method.Options = new(descriptorpb.MethodOptions)
			proto.SetExtension(method.Options, tratv1.E_Rule, rule)
		}
		service.Method = append(service.Method, method)
	}
	slices.SortFunc(service.Method, func(a, b *descriptorpb.MethodDescriptorProto) int { return cmp.Compare(a.GetName(), b.GetName()) })
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("test/v1/orders.proto"), Package: new("test.v1"), Syntax: new("proto3"),
		Dependency: []string{kinds.ParentFile().Path(), "trat/v1/rules.proto"},
		Service:    []*descriptorpb.ServiceDescriptorProto{service},
	}, protoregistry.GlobalFiles)
	if err != nil {
		tb.Fatal(err)
	}
	files := new(protoregistry.Files)
	if err := files.RegisterFile(file); err != nil {
		tb.Fatal(err)
	}
	return files
}

// satisfying is a rule that satisfies a method, from line 6 on, to which a test adds lines
// from 11 on.
const satisfying = `version: 1
details: {n: int, text: string, customer: map}
claims: {limit: int}
context: {ip: string}
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token, urn:ietf:params:oauth:token-type:id_token]
    scopes: {orders: [order.create, order.read]}
    grants: [order.list]
    satisfies: [/test.v1.Orders/Create]
`

// Covers TTS-16.
func TestWhatNoTokenOfARuleCanSatisfyIsAProblem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, add string
		want              []string // of the texts behind the method's name
	}{
		{"nothing but a valid token", `tctx: "n"`, "tctx: {n: details.n}", nil},
		{"its scopes", `scopes: ["order.create", "order.read"] any_scopes: ["x", "order.read"]`, "", nil},
		{"its scope by a grant", `scopes: "order.list"`, "", nil},
		{
			"scopes that the rule does not have", `scopes: ["order.create", "order.delete", "x"]`, "",
			[]string{
				`demands the scope "order.delete", which the rule never grants`,
				`demands the scope "x", which the rule never grants`,
			},
		},
		{"one of some scopes", `any_scopes: ["x", "y"]`, "", []string{`demands one of the scopes ["x" "y"], of which the rule grants none`}},
		{
			"scopes that no token has together", `scopes: ["order.create", "order.list"]`, "",
			[]string{"demands scopes that the rule grants in part by scopes and in part by grants, never in one TraT"},
		},
		{"a member that is not made", `tctx: "n"`, "tctx: {text: details.text}", []string{"the rule does not make tctx.n, which it demands"}},
		{"a member that is optional", `tctx: "n"`, "tctx: {n: optional details.n}", []string{"tctx.n, which it demands, is optional"}},
		{"a member of rctx", `tctx: "n"`, "rctx: {n: details.n}", []string{"the rule does not make tctx.n, which it demands"}},
		{"a member inside a map", `tctx: "customer.id"`, "tctx: {customer: details.customer}", nil},
		{
			"a member inside a text", `tctx: "text.id"`, "tctx: {text: details.text}",
			[]string{"tctx.text is of type string, without the member tctx.text.id, which it demands"},
		},
		{"a member inside a constant", `tctx: "c.id"`, "tctx: {c: {value: {id: 7}}}", nil},
		{
			"a member that a constant has not got", `tctx: ["c.name", "c.id.x"]`, "tctx: {c: {value: {id: 7}}}",
			[]string{
				"tctx.c is an object, without the member tctx.c.name, which it demands",
				"tctx.c is an object, without the member tctx.c.id.x, which it demands",
			},
		},
		{
			"a member inside a constant that is null", `tctx: "c.id"`, "tctx: {c: {value: {id: null}}}",
			[]string{"tctx.c is an object, without the member tctx.c.id, which it demands"},
		},
		{"a field that is bound", `bindings {field: "int64_field" bind {tctx: "n"}}`, "tctx: {n: details.n}", nil},
		{
			"a field that is bound to what is not there", `tctx: "n" bindings {field: "int64_field" bind {tctx: "n"}}`, "",
			[]string{`the rule does not make tctx.n, which its field "int64_field" is bound to`},
		},
		{
			"a field that is bound to what may be absent", `bindings {field: "int64_field" bind {tctx: "n"}}`, "tctx: {n: optional details.n}",
			[]string{`tctx.n, which its field "int64_field" is bound to, is optional`},
		},
		{"a field that may be absent", `bindings {field: "optional_int64" bind {tctx: "n" optional: true}}`, "tctx: {n: optional details.n}", nil},
		{"a field that may be absent, and the member is", `bindings {field: "optional_int64" bind {tctx: "n.m" optional: true}}`, "tctx: {n: details.n}", nil},
		{
			"a field that may be absent, of another type", `bindings {field: "optional_int64" bind {tctx: "n" optional: true}}`, "tctx: {n: {compute: details.n > 7}}",
			[]string{`tctx.n, which its field "optional_int64" is bound to, is of type bool, which int64 never is`},
		},
		{
			"a field of another type", `bindings {field: "bool_field" bind {tctx: "n"}} bindings {field: "int32_field" bind {tctx: "sum"}}`,
			"tctx: {n: details.n, sum: {compute: 'string(details.n)'}}",
			[]string{
				`tctx.n, which its field "bool_field" is bound to, is of type int, which bool never is`,
				`tctx.sum, which its field "int32_field" is bound to, is of type string, which int32 never is`,
			},
		},
		{"a field that is bound to a claim", `bindings {field: "int32_field" bind {tctx: "l"}}`, "tctx: {l: claims.limit}", nil},
		{"a field that is bound to what is inside a map", `bindings {field: "int32_field" bind {tctx: "l"}}`, "tctx: {l: details.customer.limit}", nil},
		{
			"a field that is bound to a pseudonym", `bindings {field: "string_field" bind {tctx: "t"}}`, "tctx: {t: {from: details.text, pseudonym: true}}",
			[]string{`tctx.t, which its field "string_field" is bound to, is a pseudonym, which no request has`},
		},
		{"a relation", `bindings {field: "int64_field" bind {tctx: "n" relation: "this <= bound"}}`, "tctx: {n: details.n}", nil},
		{
			"a relation to what is not there", `bindings {field: "int64_field" bind {tctx: "n" relation: "this <= bound"}}`, "",
			[]string{`the rule does not make tctx.n, which its field "int64_field" is bound to`},
		},
		{"a relation to a list", `bindings {field: "int64_field" bind {tctx: "n" relation: "this in bound"}}`, "tctx: {n: {value: [1, 2]}}", nil},
		{
			"a relation to a list of something else", `bindings {field: "int64_field" bind {tctx: "n" relation: "this in bound"}}`, "tctx: {n: {value: [1, true]}}",
			[]string{`tctx.n, which its field "int64_field" is bound to by a relation, is a constant, and the relation wants a list of int64`},
		},
		{
			"a relation to a value where there is a list", `bindings {field: "int64_field" bind {tctx: "n" relation: "this <= bound"}}`, "tctx: {n: {value: [1, 2]}}",
			[]string{`tctx.n, which its field "int64_field" is bound to by a relation, is a constant, and the relation wants int64`},
		},
		{
			"a relation to a list where there is a value", `bindings {field: "int64_field" bind {tctx: "n" relation: "this in bound"}}`, "tctx: {n: details.n}",
			[]string{`tctx.n, which its field "int64_field" is bound to by a relation, is of type int, and the relation wants a list of int64`},
		},
		{"a relation to an element", `bindings {field: "int64_list" bind {tctx: "n" relation: "bound in this"}}`, "tctx: {n: details.n}", nil},
		{
			"a relation to an element where there is a list", `bindings {field: "int64_list" bind {tctx: "n" relation: "bound in this"}}`, "tctx: {n: {value: [1]}}",
			[]string{`tctx.n, which its field "int64_list" is bound to by a relation, is a constant, and the relation wants an element of repeated int64`},
		},
		{
			"constants that no value of the field is", `bindings {field: "enum_field" bind {tctx: "e"}} bindings {field: "int32_field" bind {tctx: "n"}} bindings {field: "duration" bind {tctx: "d.long"}}`,
			"tctx: {e: {value: COLOR}, n: {value: 4294967296}, d: {value: {long: 1 hour}}}",
			[]string{
				`tctx.e, which its field "enum_field" is bound to, is a constant, which rulestest.v1.Color never is`,
				`tctx.n, which its field "int32_field" is bound to, is a constant, which int32 never is`,
				`tctx.d.long, which its field "duration" is bound to, is a constant, which google.protobuf.Duration never is`,
			},
		},
		{
			"constants that some value of the field is", `bindings {field: "enum_field" bind {tctx: "e"}} bindings {field: "int64_field" bind {tctx: "n"}} bindings {field: "item" bind {tctx: "i"}} bindings {field: "string_list" bind {tctx: "l"}}`,
			"tctx: {e: {value: COLOR_RED}, n: {value: '7'}, i: {value: {sku: x, unitPrice: 3}}, l: {value: [a, b]}}", nil,
		},
		{
			"a constant that a relation cannot read", `bindings {field: "enum_field" bind {tctx: "e" relation: "this in bound"}}`, "tctx: {e: {value: [COLOR_RED, COLOR]}}",
			[]string{`tctx.e, which its field "enum_field" is bound to by a relation, is a constant, and the relation wants a list of rulestest.v1.Color`},
		},
		{"an exempt method", `exempt {reason: "open"}`, "", []string{"is exempt: it needs no TraT"}},
		{"a method without a rule", "", "", []string{"there is no rule beside it, and no field of its request is bound: it demands nothing"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := satisfying
			if test.add != "" {
				text += "    " + test.add + "\n"
			}
			_, err := policy.ParseWith([]byte(text), services(t, map[string]string{"Create": test.method}))
			var want []string
			for _, problem := range test.want {
				want = append(want, `policy: line 11: rule "r": satisfies: /test.v1.Orders/Create: `+problem)
			}
			if diff := gocmp.Diff(strings.Join(want, "\n"), errorText(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Each type of the policy fits the fields that can be equal to one of its values.
func TestATypeFitsTheFieldsThatCanBeEqualToIt(t *testing.T) {
	t.Parallel()
	types := []string{
		"string", "bool", "int", "uint", "double", "timestamp", "map", "any", "list(string)", "list(int)", "list(double)", "list(any)", "list(list(int))",
	}
	const (
		integer32 = "int uint timestamp any"
		integer64 = "string " + integer32
		number    = "string int uint double timestamp any"
		enum      = "string int uint timestamp any"
		text      = "string timestamp any"
		object    = "map any"
	)
	for field, want := range map[string]string{
		"bool_field": "bool any", "bool_value": "bool any",
		"int32_field": integer32, "sint32_field": integer32, "sfixed32_field": integer32, "uint32_field": integer32, "fixed32_field": integer32,
		"int32_value": integer32, "uint32_value": integer32,
		"int64_field": integer64, "sint64_field": integer64, "sfixed64_field": integer64, "uint64_field": integer64, "fixed64_field": integer64,
		"int64_value": integer64, "uint64_value": integer64, "optional_int64": integer64,
		"float_field": number, "double_field": number, "float_value": number, "double_value": number,
		"string_field": text, "bytes_field": text, "enum_field": enum, "string_value": text, "bytes_value": text,
		"timestamp": text, "duration": text, "field_mask": text,
		"struct": object, "choice_item": object, "int32_map": object, "empty": object,
		"value":      strings.Join(types, " "),
		"list_value": "list(string) list(int) list(double) list(any) list(list(int)) any",
		"int64_list": "list(string) list(int) list(any) any", "string_list": "list(string) list(any) any", "enum_list": "list(string) list(int) list(any) any",
		"item_list":  "list(any) any",
		"value_list": "list(string) list(int) list(double) list(any) list(list(int)) any",
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			descriptors := services(t, map[string]string{"Create": fmt.Sprintf(`bindings {field: %q bind {tctx: "x"}}`, field)})
			wanted := strings.Fields(want)
			for _, declared := range types {
				text := strings.Replace(satisfying, "n: int", "n: "+declared, 1) + "    tctx: {x: details.n}\n"
				_, err := policy.ParseWith([]byte(text), descriptors)
				if fits := err == nil; fits != slices.Contains(wanted, declared) {
					t.Errorf("%s: %v", declared, err)
				}
			}
		})
	}
}

func TestMethodsAreLookedUpInTheDescriptors(t *testing.T) {
	t.Parallel()
	one, other := services(t, map[string]string{"Create": `scopes: "order.create"`}), services(t, map[string]string{"Create": `scopes: "order.new"`, "Read": `scopes: "order.read"`})
	methods := func(list string) string { return strings.Replace(satisfying, "[/test.v1.Orders/Create]", list, 1) }
	const at = `policy: line 11: rule "r": satisfies: `
	for _, test := range []struct {
		name, text  string
		descriptors []policy.Descriptors
		want        string
	}{
		{
			"there are none", satisfying, nil,
			at + "/test.v1.Orders/Create: cannot be checked: there are no descriptor sets (key descriptors of the configuration, flag --descriptors of the command)",
		},
		{"in one of several", methods("[/test.v1.Orders/Read]"), []policy.Descriptors{one, other, protoregistry.GlobalFiles}, ""},
		{
			"as each has it",
			satisfying,
			[]policy.Descriptors{one, other},
			at + `/test.v1.Orders/Create: demands the scope "order.new", which the rule never grants`,
		},
		{"said once", satisfying, []policy.Descriptors{other, other}, at + `/test.v1.Orders/Create: demands the scope "order.new", which the rule never grants`},
		{"unknown service", methods("[/test.v2.Orders/Create]"), []policy.Descriptors{one}, at + "/test.v2.Orders/Create: no descriptor set has the service test.v2.Orders"},
		{"unknown method", methods("[/test.v1.Orders/Delete]"), []policy.Descriptors{one}, at + "/test.v1.Orders/Delete: the service test.v1.Orders has no method Delete"},
		{
			"no service", methods("[/" + kindsName + "/Create]"),
			[]policy.Descriptors{protoregistry.GlobalFiles},
			at + "/" + kindsName + "/Create: " + kindsName + " is no service",
		},
		{
			"no slash before it", methods("[test.v1.Orders/Create]"),
			[]policy.Descriptors{one},
			at + `"test.v1.Orders/Create": want a method such as /shop.v1.OrdersService/CreateOrder`,
		},
		{
			"a wildcard", methods("['/test.v1.Orders/*']"),
			[]policy.Descriptors{one},
			at + `"/test.v1.Orders/*": want a method such as /shop.v1.OrdersService/CreateOrder`,
		},
		{"twice", methods("[/test.v1.Orders/Create, /test.v1.Orders/Create]"), []policy.Descriptors{one}, at + `"/test.v1.Orders/Create" is there twice`},
		{"none named", methods("[]"), []policy.Descriptors{one}, at + "the list is empty"},
		{"no list", methods("/test.v1.Orders/Create"), []policy.Descriptors{one}, at + "want a list, not text"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.ParseWith([]byte(test.text), test.descriptors...)
			if diff := gocmp.Diff(test.want, errorText(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			_, err = policy.ParseFor([]byte(test.text), policy.Service{
				TrustDomain:   gateway.TrustDomain(),
				SubjectTokens: map[string][]string{trat.TokenTypeAccessToken: nil, trat.TokenTypeIDToken: nil},
				Descriptors:   test.descriptors,
			})
			if diff := gocmp.Diff(test.want, errorText(err)); diff != "" {
				t.Errorf("problems of ParseFor (-want +got):\n%s", diff)
			}
		})
	}
}

//go:embed testdata/satisfies.yaml
var satisfies string

// The policy beside this test, for the services of the shop as they are.
func TestAPolicyFollowsTheServicesThatItIsFor(t *testing.T) {
	t.Parallel()
	if shopv1.File_shop_v1_shop_proto == nil {
		t.Fatal("the shop is not linked in")
	}
	if _, err := policy.ParseWith([]byte(satisfies), protoregistry.GlobalFiles); err != nil {
		t.Error(err)
	}
	const at = `policy: line 23: rule "gateway-orders": satisfies: /shop.v1.`
	for name, test := range map[string]struct{ old, new, want string }{
		"a parameter is forgotten": {
			"      quantity: details.quantity\n", "",
			at + `OrdersService/CreateOrder: the rule does not make tctx.quantity, which its field "quantity" is bound to`,
		},
		"a parameter becomes optional": {
			"sku: details.sku", "sku: optional details.sku",
			at + `OrdersService/CreateOrder: tctx.sku, which its field "sku" is bound to, is optional`,
		},
		"a parameter is made of another type": {
			"amount_cents: details.amount_cents", "amount_cents: {compute: double(details.amount_cents) / 100.0}",
			at + `OrdersService/CreateOrder: tctx.amount_cents, which its field "amount_cents" is bound to, is of type double, which int64 never is` + "\n" +
				at + `PaymentsService/Charge: tctx.amount_cents, which its field "amount_cents" is bound to, is of type double, which int64 never is`,
		},
		"the scope has another name": {
			"[order.create]", "[orders.create]",
			at + `OrdersService/CreateOrder: demands the scope "order.create", which the rule never grants` + "\n" +
				at + `PaymentsService/Charge: demands the scope "order.create", which the rule never grants`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(satisfies, test.old, test.new, 1)
			_, err := policy.ParseWith([]byte(text), protoregistry.GlobalFiles)
			want := test.want
			if test.new == "" {
				want = strings.ReplaceAll(want, "line 23", "line 22")
			}
			if diff := gocmp.Diff(want, errorText(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// A rule that the descriptors say badly is the policy's problem only in so far as the policy
// names it.
func TestARuleThatCannotBeReadIsAProblemOfWhoSatisfiesIt(t *testing.T) {
	t.Parallel()
	bad := services(t, map[string]string{"Create": `scopes: "a b"`, "Read": `scopes: "order.read"`})
	_, err := policy.ParseWith([]byte(satisfying), bad)
	if err == nil || !strings.HasPrefix(err.Error(), `policy: line 11: rule "r": satisfies: /test.v1.Orders/Create: `) || !strings.Contains(err.Error(), "scopes") {
		t.Errorf("problem %v", err)
	}
	if _, err := policy.ParseWith([]byte(strings.Replace(satisfying, "/Create", "/Read", 1)), bad); err != nil {
		t.Errorf("another method of the service: %v", err)
	}
}

// What a replacement does not add, the replaced token may have.
//
// Covers REPL-01.
func TestAReplacementSatisfiesWithWhatTheTokenHas(t *testing.T) {
	t.Parallel()
	const text = `version: 1
details: {n: int, flag: bool}
rules:
  - name: r
    requester: spiffe://shop.test/tax
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    tctx: {x: optional details.n}
    replacement: {scopes: [order.create]}
    satisfies: [/test.v1.Orders/Create]
`
	for _, test := range []struct{ name, method, want string }{
		{"a member that it adds", `scopes: "order.create" tctx: "x" bindings {field: "int64_field" bind {tctx: "x"}}`, ""},
		{"a member that it leaves", `tctx: "y" bindings {field: "int64_field" bind {tctx: "z.id"}}`, ""},
		{"a scope that it drops", `scopes: "order.read"`, `demands the scope "order.read", which the rule never grants`},
		{"a member that it adds wrongly", `tctx: "x.id"`, "tctx.x is of type int, without the member tctx.x.id, which it demands"},
		{
			"a member that it adds as another type", `bindings {field: "bool_field" bind {tctx: "x"}}`,
			`tctx.x, which its field "bool_field" is bound to, is of type int, which bool never is`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.ParseWith([]byte(text), services(t, map[string]string{"Create": test.method}))
			want := test.want
			if want != "" {
				want = `policy: line 9: rule "r": satisfies: /test.v1.Orders/Create: ` + want
			}
			if diff := gocmp.Diff(want, errorText(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
