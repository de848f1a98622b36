package main

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

func TestRulesCheckFindsWhatBecameLooser(t *testing.T) {
	const create, get = "/acme.orders.v1.OrdersService/Create", "/acme.orders.v1.OrdersService/Get"
	old := writeSet(t, nil)
	bindOf := func(f *descriptorpb.FileDescriptorProto, field int) *tratv1.Binding {
		return proto.GetExtension(f.GetMessageType()[0].GetField()[field].GetOptions(), tratv1.E_Bind).(*tratv1.Binding)
	}
	for name, tt := range map[string]struct {
		change        func(*descriptorpb.FileDescriptorProto)
		method, field string
	}{
		"a scope less by default": {func(f *descriptorpb.FileDescriptorProto) { defaultOption(f).Scopes = nil }, get, "scopes"},
		"a scope more that will do": {func(f *descriptorpb.FileDescriptorProto) {
			r := ruleOption(f, "OrdersService", "Create")
			r.AnyScopes = append(r.AnyScopes, "order.read")
		}, create, "any_scopes"},
		"a caller more": {func(f *descriptorpb.FileDescriptorProto) {
			d := defaultOption(f)
			d.Callers = append(d.Callers, "/batch")
		}, get, "callers"},
		"any caller":       {func(f *descriptorpb.FileDescriptorProto) { defaultOption(f).Callers = nil; defaultTail(f) }, get, "callers"},
		"a member less":    {func(f *descriptorpb.FileDescriptorProto) { ruleOption(f, "OrdersService", "Create").Tctx = nil }, create, "tctx"},
		"a condition less": {func(f *descriptorpb.FileDescriptorProto) { ruleOption(f, "OrdersService", "Create").When = nil }, create, "when"},
		"a decision less": {func(f *descriptorpb.FileDescriptorProto) {
			ruleOption(f, "OrdersService", "Create").AccessEvaluation = nil
		}, create, "access_evaluation"},
		"more links": {func(f *descriptorpb.FileDescriptorProto) { ruleOption(f, "OrdersService", "Create").Chain.MaxLinks = 0 }, create, "chain.max_links"},
		"another way": {func(f *descriptorpb.FileDescriptorProto) {
			ruleOption(f, "OrdersService", "Create").Chain.Through = nil
		}, create, "chain.through"},
		"a less strict mode": {func(f *descriptorpb.FileDescriptorProto) {
			ruleOption(f, "OrdersService", "Get").Chain = &tratv1.Chain{Mode: tratv1.ChainMode_CHAIN_MODE_HEAD}
		}, get, "chain.mode"},
		"replay": {func(f *descriptorpb.FileDescriptorProto) {
			ruleOption(f, "OrdersService", "Get").Replay = tratv1.Replay_REPLAY_OFF
		}, get, "replay"},
		"enforcement": {func(f *descriptorpb.FileDescriptorProto) {
			ruleOption(f, "OrdersService", "Get").Enforcement = tratv1.Enforcement_ENFORCEMENT_PRESENCE
		}, get, "enforcement"},
		"a longer grace": {func(f *descriptorpb.FileDescriptorProto) {
			ruleOption(f, "OrdersService", "Tail").Stream.Grace.Seconds = 31
		}, "/acme.orders.v1.OrdersService/Tail", "stream.grace"},
		"the kind of stream, and with it the default": {func(f *descriptorpb.FileDescriptorProto) {
			f.GetService()[0].GetMethod()[3].ClientStreaming = new(false)
		}, "/acme.orders.v1.OrdersService/Sync", "stream.expiry"},
		"a field that is not bound":  {func(f *descriptorpb.FileDescriptorProto) { f.GetMessageType()[0].GetField()[0].Options = nil }, create, "sku"},
		"a field that may be absent": {func(f *descriptorpb.FileDescriptorProto) { bindOf(f, 0).Optional = true }, create, "sku"},
		"another relation":           {func(f *descriptorpb.FileDescriptorProto) { bindOf(f, 1).Relation = "this <= bound * 2" }, create, "quantity"},
		"exempt":                     {func(f *descriptorpb.FileDescriptorProto) { exempt(ruleOption(f, "OrdersService", "Get")) }, get, "exempt"},
		"exempt without a rule before": {func(f *descriptorpb.FileDescriptorProto) {
			exempt(ruleOption(f, "AdminService", "Purge"))
		}, "/acme.orders.v1.AdminService/Purge", "exempt"},
		"a mode below the default, without a rule before": {func(f *descriptorpb.FileDescriptorProto) {
			r := ruleOption(f, "AdminService", "Purge")
			r.Chain, r.Callers = &tratv1.Chain{Mode: tratv1.ChainMode_CHAIN_MODE_OFF}, []string{"/admin"}
		}, "/acme.orders.v1.AdminService/Purge", "chain.mode"},
		"no rule": {func(f *descriptorpb.FileDescriptorProto) {
			f.GetService()[0].Options = nil
			defaultTail(f)
		}, get, "rule"},
		"a field that is not bound, without a rule": {func(f *descriptorpb.FileDescriptorProto) {
			f.GetMessageType()[2].GetField()[0].Options = nil
		}, "/acme.orders.v1.AdminService/Remove", "id"},
		"a new method that is exempt": {func(f *descriptorpb.FileDescriptorProto) {
			f.GetService()[1].Method = append(f.GetService()[1].Method, &descriptorpb.MethodDescriptorProto{
				Name: new("Open"), InputType: new(".acme.orders.v1.Order"), OutputType: new(".acme.orders.v1.Order"),
			})
			exempt(ruleOption(f, "AdminService", "Open"))
		}, "/acme.orders.v1.AdminService/Open", "exempt"},
	} {
		t.Run(name, func(t *testing.T) {
			newer := writeSet(t, tt.change)
			runTrat(t, "", "rules", "check", old, newer).want(t, exitNo, "LOOSER "+tt.method+": ", "not good enough")
			var result struct {
				Good       bool
				Loosenings []struct{ Method, Field, Text string }
				Problems   []struct{ Where, Text string }
			}
			asJSON := runTrat(t, "", "rules", "check", old, newer, "-o", "json")
			asJSON.want(t, exitNo, "", "")
			asJSON.decode(t, &result)
			found := slices.ContainsFunc(result.Loosenings, func(l struct{ Method, Field, Text string }) bool {
				return l.Method == tt.method && (strings.Contains(l.Field, tt.field) || strings.Contains(l.Text, tt.field))
			})
			if !found || result.Good || len(result.Problems) > 0 {
				t.Errorf("want %s of %s, got %+v", tt.field, tt.method, result)
			}
		})
	}
}

// What a relation says depends on the type of its field: of texts, "10" is less than "9".
func TestRulesCheckComparesNoRelationsOfDifferentTypes(t *testing.T) {
	quantity := func(change func(*descriptorpb.DescriptorProto, *descriptorpb.FieldDescriptorProto)) string {
		return writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
			m := f.GetMessageType()[0]
			change(m, m.GetField()[1])
			ruleOption(f, "OrdersService", "Create").When = nil
		})
	}
	integer := quantity(func(*descriptorpb.DescriptorProto, *descriptorpb.FieldDescriptorProto) {})
	unsigned := quantity(func(_ *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) {
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_UINT64.Enum()
	})
	text := quantity(func(_ *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) {
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	})
	present := quantity(func(m *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) {
		m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: new("_quantity")})
		f.Proto3Optional, f.OneofIndex = new(true), new(int32(1))
	})
	for _, tt := range []struct{ older, newer, was, is string }{
		{integer, text, "int64", "string"},
		{integer, unsigned, "int64", "uint64"},
		{present, integer, "optional int64", "int64"},
	} {
		runTrat(t, "", "rules", "check", tt.older, tt.newer).want(t, exitNo, "LOOSER /acme.orders.v1.OrdersService/Create: bindings: "+
			"quantity is of the type "+tt.is+", and was of "+tt.was+": its relation to tctx.order.quantity cannot be compared\n", "1 loosening, 0 problems")
	}
	runTrat(t, "", "rules", "check", integer, present).want(t, exitDone, "good: ", "")
}

func TestRulesCheckSaysWhoMayCallNow(t *testing.T) {
	old := writeSet(t, nil)
	for now, callers := range map[string][]string{
		"anybody in the trust domain":         nil,
		"one of /gateway, /ns/*/edge, /batch": {"/gateway", "/ns/*/edge", "/batch"},
	} {
		newer := writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
			defaultOption(f).Callers = callers
			defaultTail(f)
		})
		runTrat(t, "", "rules", "check", old, newer).want(t, exitNo,
			"LOOSER /acme.orders.v1.OrdersService/Get: callers: also permits others than /gateway, /ns/*/edge: now "+now+"\n", "3 loosenings, 0 problems")
	}
}

// defaultTail gives the method Tail callers of its own, which its chain mode needs.
func defaultTail(f *descriptorpb.FileDescriptorProto) {
	ruleOption(f, "OrdersService", "Tail").Callers = []string{"/gateway", "/ns/*/edge"}
}

func exempt(r *tratv1.Rule) {
	proto.Reset(r)
	r.Exempt = &tratv1.Exemption{Reason: "a test"}
}

func TestRulesCheckPassesWhatIsNotLooser(t *testing.T) {
	old := writeSet(t, nil)
	for name, change := range map[string]func(*descriptorpb.FileDescriptorProto){
		"the same": nil,
		"stricter": func(f *descriptorpb.FileDescriptorProto) {
			r := ruleOption(f, "OrdersService", "Create")
			r.Tctx, r.When, r.Chain.MaxLinks = append(r.Tctx, "order.channel"), append(r.When, "now.getFullYear() > 2000"), 2
			ruleOption(f, "OrdersService", "Get").Callers = []string{"/gateway"}
			ruleOption(f, "OrdersService", "Get").Replay = tratv1.Replay_REPLAY_ONCE
			ruleOption(f, "OrdersService", "Sync").Enforcement = tratv1.Enforcement_ENFORCEMENT_STRICT
			ruleOption(f, "OrdersService", "Ping").Exempt = nil
			ruleOption(f, "AdminService", "Purge").Scopes = []string{"admin"}
		},
		"a default that is written out": func(f *descriptorpb.FileDescriptorProto) {
			ruleOption(f, "OrdersService", "Get").Chain = &tratv1.Chain{Mode: tratv1.ChainMode_CHAIN_MODE_PATH, MaxLinks: 6}
		},
		"a method that is gone": func(f *descriptorpb.FileDescriptorProto) {
			f.GetService()[0].Method = f.GetService()[0].GetMethod()[1:]
		},
	} {
		t.Run(name, func(t *testing.T) {
			runTrat(t, "", "rules", "check", old, writeSet(t, change)).want(t, exitDone, "good: nothing is looser, ", "")
		})
	}
}

func TestRulesCheckTakesAnotherNameForAnotherService(t *testing.T) {
	renamed := writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
		f.GetService()[1].Name = new("RootService")
	})
	got := runTrat(t, "", "rules", "check", writeSet(t, nil), renamed)
	got.want(t, exitDone, "new    /acme.orders.v1.RootService/Purge, no rule: denied unless code has one\n", "")
	got.want(t, exitDone, "gone   /acme.orders.v1.AdminService/Purge\n", "")
	// What was exempt is so under its new name, where nobody has looked at it.
	exempted := writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
		f.GetService()[0].Name = new("OrderService")
	})
	runTrat(t, "", "rules", "check", writeSet(t, nil), exempted).want(t, exitNo, "LOOSER /acme.orders.v1.OrderService/Ping: exempt: is new and needs no TraT\n", "1 loosening, 0 problems")
}

func TestRulesCheckHoldsTheOverlayToTheNewerRules(t *testing.T) {
	looser := writeSet(t, func(f *descriptorpb.FileDescriptorProto) { defaultOption(f).Scopes = nil })
	overlay := writeFile(t, "overlay.yaml", "version: 1\nrules:\n  /acme.orders.v1.OrdersService/*: {scopes: [order.create]}")
	runTrat(t, "", "rules", "check", writeSet(t, nil), looser).want(t, exitNo, "scopes", "")
	// With the overlay that goes with it, even the exempt method demands the scope.
	runTrat(t, "", "rules", "check", writeSet(t, nil), looser, "--overlay", overlay).want(t, exitDone, "good: ", "")
	runTrat(t, "", "rules", "check", looser).want(t, exitUse, "", "takes OLD and NEW")
}
