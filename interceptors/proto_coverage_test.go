package interceptors_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "github.com/grpc-trat/grpc-trat/gen/trat/v1" // the options
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

var declaredFiles atomic.Int64

// declare links a proto file in that has a service Svc with the methods Get, unary, and
// Watch, of which the server streams, and returns the name of the service. The options are
// in the text format: of the service, of both methods, and of the field id of their request.
func declare(t *testing.T, service, get, watch, field string) string {
	t.Helper()
	pkg := fmt.Sprintf("declared.v%d", declaredFiles.Add(1))
	text := fmt.Sprintf(`
		name: "%[1]s.proto" package: "%[1]s" syntax: "proto3" dependency: "trat/v1/rules.proto"
		message_type {
			name: "Request"
			field { name: "id" json_name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL options { %[5]s } }
			field { name: "note" json_name: "note" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
		}
		message_type { name: "Response" }
		service {
			name: "Svc"
			options { %[2]s }
			method { name: "Get" input_type: ".%[1]s.Request" output_type: ".%[1]s.Response" options { %[3]s } }
			method { name: "Watch" input_type: ".%[1]s.Request" output_type: ".%[1]s.Response" server_streaming: true options { %[4]s } }
		}`, pkg, service, get, watch, field)
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	descriptor, err := protodesc.NewFile(&file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	if err := protoregistry.GlobalFiles.RegisterFile(descriptor); err != nil {
		t.Fatal(err)
	}
	return pkg + ".Svc"
}

// registered is a server with the service that declare makes.
func registered(service string) services {
	return services{service: {Methods: []grpc.MethodInfo{{Name: "Get"}, {Name: "Watch", IsServerStream: true}}}}
}

// bound is the option of a field.
const bound = `[trat.v1.bind] { tctx: "order.id" }`

func rule(text string) string      { return "[trat.v1.rule] {" + text + "}" }
func byDefault(text string) string { return "[trat.v1.default_rule] {" + text + "}" }

// Every way in which what is said about a method cannot be put in force is an error that
// says where, and nothing is in force then.
//
// Covers VER-18, VER-21, VER-22.
func TestCoverageOfRulesInProtoFiles(t *testing.T) {
	d := trattest.New(t, domainName)
	require := interceptors.Require
	const why = "the test says so"
	for name, tc := range map[string]struct {
		service, get, watch, field string
		rules                      func(service string) interceptors.Rules // nil: none
		opts                       func(service string) []interceptors.ServerOption
		registered                 func(service string) services // nil: all of the service
		want                       []string                      // "SVC" stands for the service; nil: covered
	}{
		"rule for each method": {get: rule(`scopes: "a"`), watch: rule(`exempt { reason: "open" }`)},
		"default":              {service: byDefault(`scopes: "a"`)},
		"empty default":        {service: byDefault("")},
		"bound field":          {service: byDefault(""), field: bound},
		"no rule":              {want: []string{`method "/SVC/Get" has no rule`, `method "/SVC/Watch" has no rule`}},
		"bound field, no rule": {field: bound, want: []string{`method "/SVC/Get" has no rule`, `method "/SVC/Watch" has no rule`}},
		"one method without":   {get: rule(""), want: []string{`method "/SVC/Watch" has no rule`}},
		"the other in code":    {get: rule(""), rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/Watch": require("a")} }},
		"service in code":      {get: rule(""), rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/*": require("a")} }},
		"field under code":     {field: bound, rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/*": require("a")} }},
		"stream of code, fitted": {service: byDefault(""), rules: func(s string) interceptors.Rules {
			return interceptors.Rules{"/" + s + "/*": require().StreamMaxAge(time.Minute)}
		}},
		"less in code": {service: byDefault(`callers: "/gateway"`), rules: func(s string) interceptors.Rules {
			return interceptors.Rules{"/" + s + "/*": require().ChainOff().ReplayOff().StreamOpenOnly()}
		}, want: []string{
			`method "/SVC/Get": chain.mode: code demands less than the proto file`, `method "/SVC/Get": replay: code demands less`,
			`method "/SVC/Watch": chain.mode: code demands less`, `method "/SVC/Watch": replay: code demands less`, "stream.expiry: code demands less",
		}},

		"exempt default":     {service: byDefault(`exempt { reason: "open" }`), want: []string{"a default cannot be an exemption"}},
		"without a reason":   {get: rule(`exempt {}`), watch: rule(""), want: []string{"exempt.reason"}},
		"exempt and a scope": {get: rule(`scopes: "a" exempt { reason: "open" }`), watch: rule(""), want: []string{"exempt"}},
		"exempt and bound": {
			get: rule(`exempt { reason: "open" }`), watch: rule(""), field: bound,
			want: []string{"bound fields"},
		},
		"exempt in code and bound": {
			get: rule(""), field: bound,
			rules: func(s string) interceptors.Rules {
				return interceptors.Rules{"/" + s + "/Watch": interceptors.Exempt(why)}
			},
			want: []string{`method "/SVC/Watch": exempt: a TraT is required by field option`},
		},
		"exempt, and a service rule in code": {
			get: rule(`exempt { reason: "open" }`), rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/*": require()} },
			want: []string{`method "/SVC/Get": exempt: none is by method option SVC.Get, but a TraT is required by code /SVC/*: give the method its own rule`},
		},
		"exempt in both": {
			get: rule(`exempt { reason: "open" }`), watch: rule(""),
			rules: func(s string) interceptors.Rules {
				return interceptors.Rules{"/" + s + "/*": require(), "/" + s + "/Get": interceptors.Exempt(why)}
			},
		},
		"required, and exempt in code": {
			service: byDefault(""), rules: func(s string) interceptors.Rules {
				return interceptors.Rules{"/" + s + "/Get": interceptors.Exempt(why)}
			},
			want: []string{`method "/SVC/Get": exempt: a TraT is required by service default SVC, but none is by code /SVC/Get`},
		},
		"no scope":          {get: rule(`scopes: "a b"`), watch: rule(""), want: []string{"scopes[0]"}},
		"no path":           {get: rule(`tctx: "a..b"`), watch: rule(""), want: []string{"tctx[0]"}},
		"no workload":       {get: rule(`callers: "gateway"`), watch: rule(""), want: []string{"callers"}},
		"unknown field":     {get: rule(`bindings { field: "nothing" bind { tctx: "a" } }`), watch: rule(""), want: []string{"nothing"}},
		"unknown name":      {get: rule(`when: "request.nothing == ''"`), watch: rule(""), want: []string{"when[0]"}},
		"no CEL":            {get: rule(`when: "sub =="`), watch: rule(""), want: []string{"when[0]"}},
		"no condition":      {get: rule(`when: "sub"`), watch: rule(""), want: []string{"when[0]"}},
		"stream of a unary": {get: rule(`stream { expiry: STREAM_EXPIRY_OPEN_ONLY }`), watch: rule(""), want: []string{"does not stream"}},
		"stream of a unary in code": {
			service: byDefault(""), rules: func(s string) interceptors.Rules {
				return interceptors.Rules{"/" + s + "/Get": require().StreamOpenOnly()}
			},
			want: []string{"does not stream"},
		},
		"head without callers": {get: rule(`chain { mode: CHAIN_MODE_HEAD }`), watch: rule(""), want: []string{"head needs callers"}},
		"callers from code": {get: rule(`chain { mode: CHAIN_MODE_HEAD }`), watch: rule(""), rules: func(s string) interceptors.Rules {
			return interceptors.Rules{"/" + s + "/Get": require().FromCallers(d.Members())}
		}},
		"callers from proto": {service: byDefault(`callers: "/gateway" chain { mode: CHAIN_MODE_OFF }`), rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/*": require().ChainOff()} }},
		"path rule of code, head": {service: byDefault(`callers: "/gateway" chain { mode: CHAIN_MODE_HEAD }`), rules: func(s string) interceptors.Rules {
			return interceptors.Rules{"/" + s + "/Get": require().Through(d.Members())}
		}, want: []string{"Through and NotThrough are for chain mode path"}},
		"contradiction": {get: rule(`replay: REPLAY_OFF`), watch: rule(""), rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/Get": require().Once()} }, opts: func(string) []interceptors.ServerOption {
			return []interceptors.ServerOption{interceptors.SingleReplica()}
		}, want: []string{`method "/SVC/Get": replay: off by method option SVC.Get, but once by code /SVC/Get`}},
		"once, and nowhere": {get: rule(`replay: REPLAY_ONCE`), watch: rule(""), want: []string{`method "/SVC/Get": a rule with Once needs WithOnceStore`}},
		"once": {get: rule(`replay: REPLAY_ONCE`), watch: rule(""), opts: func(string) []interceptors.ServerOption {
			return []interceptors.ServerOption{interceptors.SingleReplica()}
		}},
		"nobody to ask": {get: rule(`access_evaluation {}`), watch: rule(""), want: []string{`method "/SVC/Get": access_evaluation, but`}},
		"Check on a stream": {service: byDefault(""), rules: func(s string) interceptors.Rules {
			return interceptors.Rules{"/" + s + "/Watch": require().Check(allow)}
		}, want: []string{"this one streams"}},
		"not registered": {service: byDefault(""), registered: func(s string) services { return services{s: {Methods: []grpc.MethodInfo{{Name: "Get"}}}} }, want: []string{"SVC.Watch has a rule in its proto file, and is not registered"}},
		"registered as other kind": {service: byDefault(""), registered: func(s string) services {
			return services{s: {Methods: []grpc.MethodInfo{{Name: "Get"}, {Name: "Watch"}}}}
		}, want: []string{`method "/SVC/Watch": is registered as another kind`}},
		"registered by hand": {
			service: byDefault(""), want: []string{`method "/SVC/More" has no rule`},
			registered: func(s string) services {
				all := registered(s)
				all[s] = grpc.ServiceInfo{Methods: append(all[s].Methods, grpc.MethodInfo{Name: "More"})}
				return all
			},
		},

		"registered by hand, with a rule in code": {
			service: byDefault(`scopes: "a"`), want: []string{`method "/SVC/More": is not in the proto file of its service`},
			rules: func(s string) interceptors.Rules { return interceptors.Rules{"/" + s + "/*": require()} },
			registered: func(s string) services {
				all := registered(s)
				all[s] = grpc.ServiceInfo{Methods: append(all[s].Methods, grpc.MethodInfo{Name: "More"})}
				return all
			},
		},

		"shadow in the proto file alone": {get: rule(`enforcement: ENFORCEMENT_SHADOW`), watch: rule(""), want: []string{`method "/SVC/Get": enforcement: shadow by its proto file takes effect only`}},
		"shadow in both":                 {get: rule(`enforcement: ENFORCEMENT_SHADOW`), watch: rule(""), opts: loosen("/Get", interceptors.EnforceShadow)},
		"shadow in both by service":      {service: byDefault(`enforcement: ENFORCEMENT_SHADOW`), opts: loosen("/*", interceptors.EnforceShadow)},
		"shadow in code alone":           {service: byDefault(""), opts: loosen("/*", interceptors.EnforceShadow)},
		"another mode":                   {get: rule(`enforcement: ENFORCEMENT_SHADOW`), watch: rule(""), opts: loosen("/Get", interceptors.EnforcePresence), want: []string{`shadow by its proto file, but presence by UnsafeEnforcement "/SVC/Get"`}},
		"strict in the proto file":       {get: rule(`enforcement: ENFORCEMENT_STRICT`), watch: rule(""), opts: loosen("/*", interceptors.EnforcePresence), want: []string{`strict by its proto file, but presence by UnsafeEnforcement "/SVC/*"`}},
		"strict in both":                 {get: rule(`enforcement: ENFORCEMENT_STRICT`), watch: rule(""), opts: loosen("/Get", interceptors.EnforceStrict)},
		"loosened and exempt":            {get: rule(`exempt { reason: "open" }`), watch: rule(""), opts: loosen("/Get", interceptors.EnforceShadow), want: []string{`method "/SVC/Get": UnsafeEnforcement names it, and it is exempt`}},
		"loosened, exempt among others":  {get: rule(`exempt { reason: "open" }`), watch: rule(""), opts: loosen("/*", interceptors.EnforceShadow)},
		"loosened, not there":            {service: byDefault(""), opts: loosen("/Got", interceptors.EnforceShadow), want: []string{`UnsafeEnforcement "/SVC/Got" names nothing`}},

		"all at once": {
			get: rule(`scopes: "a b" tctx: ""`), watch: rule(`callers: "/a" chain { mode: CHAIN_MODE_HEAD }`),
			rules: func(s string) interceptors.Rules {
				return interceptors.Rules{"/" + s + "/Got": require(), "/" + s + "/Watch": require().Through(d.Members()).Check(allow)}
			},
			want: []string{"scopes[0]", "tctx[0]", `rule "/SVC/Got" names nothing`, "this one streams", "Through and NotThrough are for"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			svc := declare(t, tc.service, tc.get, tc.watch, tc.field)
			rules, on := interceptors.Rules{}, registered(svc)
			if tc.rules != nil {
				rules = tc.rules(svc)
			}
			if tc.registered != nil {
				on = tc.registered(svc)
			}
			opts := []interceptors.ServerOption{interceptors.InstalledByHand()}
			if tc.opts != nil {
				opts = append(opts, tc.opts(svc)...)
			}
			wantCoverage(t, guard(t, d, rules, opts...), on, svc, tc.want)
		})
	}
}

// loosen is an UnsafeEnforcement for a method of the service.
func loosen(key string, mode interceptors.Enforcement) func(string) []interceptors.ServerOption {
	return func(service string) []interceptors.ServerOption {
		return []interceptors.ServerOption{interceptors.UnsafeEnforcement("/"+service+key, mode, "the test says so")}
	}
}

// wantCoverage checks what a coverage check says; nil: nothing.
func wantCoverage(t *testing.T, g *interceptors.Server, on services, svc string, want []string) {
	t.Helper()
	err := g.CheckCoverage(on)
	if want == nil {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "SVC", svc)
	}
	wantProblems(t, err, want...)
	if !strings.Contains(err.Error(), svc) || g.Ready() == nil || g.MethodRules() != nil {
		t.Errorf("ready %v, rules %v after: %v", g.Ready(), g.MethodRules(), err)
	}
}

// A service that was registered without generated code has no request that a rule could be
// about; everything else holds for it too.
//
// Covers VER-18.
func TestRulesAboutRequestsNeedTheProtoFile(t *testing.T) {
	d := trattest.New(t, domainName)
	require := interceptors.Require()
	for name, tc := range map[string]struct {
		rule interceptors.Rule
		want []string
	}{
		"binding":              {require.Bind("id", "order.id"), []string{"the type of the request is not known", "the type of the request is not known"}},
		"condition":            {require.When("request.id == ''"), []string{"when[0]", "when[0]"}},
		"condition about more": {require.When("sub != ''").RequireTctx("order.id").AnyScope("a", "b"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(t, d, interceptors.Rules{"/pkg.Svc/*": tc.rule}, interceptors.InstalledByHand())
			wantCoverage(t, g, oneUnaryOneStream(), "pkg.Svc", tc.want)
		})
	}
}
