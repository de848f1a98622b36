package rules

import (
	"strings"
	"testing"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
)

func TestConditionsThatMustNotBeEvaluatedAreFoundAtStart(t *testing.T) {
	kinds := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor()
	for source, says := range map[string]string{
		"":                                        "Syntax error",
		"request.nothing == 1":                    "line 1, column 8: undefined field 'nothing'",
		"true &&\n request.item.skew":             "line 2, column 14: undefined field 'skew'",
		"request.itemList.size() > 0":             "undefined field 'itemList'",
		"requst.int64_field == 1":                 "undeclared reference to 'requst'",
		"claims.sub == 'x'":                       "undeclared reference to 'claims'",
		"requester == 'x'":                        "undeclared reference to 'requester'",
		"request.int64_field == '1'":              "no matching overload",
		"request.int64_field":                     "want a bool, not int",
		"tctx.express":                            "want a bool, not dyn",
		"true":                                    "is always true",
		"request.bool_field && false":             "is always false",
		"1 / 0 > 1":                               "always fails: division by zero",
		"request == request":                      "a message is not a value by itself",
		"request.item == request.item":            "a message is not a value by itself",
		"request.item in request.item_list":       "a message is not a value by itself",
		"request.item_list == request.item_list":  "a message is not a value by itself",
		"[request.item, 1].size() == 2":           "a message is not a value by itself",
		"{'a': request.item, 'b': 1}.size() == 2": "a message is not a value by itself",
		"(request.bool_field ? request.item_list : tctx.names) == []":                                  "a message is not a value by itself",
		"rulestest.v1.Item{sku: 'x'}.sku == request.string_field":                                      "no object can be made of a type",
		"Item{}.sku == request.string_field":                                                           "no object can be made of a type",
		"request.enum_field == Color.COLOR_GREEN":                                                      "undeclared reference",
		"request.enum_field == 'COLOR_RED'":                                                            "no matching overload",
		"request.string_field.matches(tctx.pattern)":                                                   "a pattern that is written out",
		"type(request.int64_field) == int":                                                             "undeclared reference to 'type'",
		"dyn(request) == tctx":                                                                         "undeclared reference to 'dyn'",
		"now.getHours('Europe/Berlin') > 1":                                                            "no matching overload",
		"request.string_list.all(a, request.string_list.all(b, request.string_list.all(c, a == b)))":   "nesting limit",
		"request.string_list.all(a, request.string_list.all(b, a.contains(b + request.string_field)))": "may cost too much",
		strings.Repeat("request.bool_field && ", 300) + "true":                                         "4096 bytes",
	} {
		t.Run(source, func(t *testing.T) {
			c, err := compileCondition(source, kinds)
			if c != nil || err == nil {
				t.Fatal("it compiles")
			}
			if !strings.Contains(err.Error(), says) {
				t.Errorf("error %q, want %q", err, says)
			}
		})
	}
	holder := (&rulestestv1.Holder{}).ProtoReflect().Descriptor()
	for _, source := range []string{
		"request.any.sku == 'x'", "request.any == tctx.any", "request.any_list.size() > 1", "request.inner.any_map['a'].sku == 'x'",
	} {
		if _, err := compileCondition(source, holder); err == nil || !strings.Contains(err.Error(), "google.protobuf.Any cannot be read") {
			t.Errorf("%s: %v", source, err)
		}
	}
	if _, err := compileCondition("has(request.any)", holder); err != nil {
		t.Errorf("whether there is an Any: %v", err)
	}
}

func TestWithoutARequestTypeThereIsNoRequest(t *testing.T) {
	if _, err := compileCondition("request.quantity > 0", nil); err == nil || !strings.Contains(err.Error(), "undeclared reference to 'request'") {
		t.Errorf("error %v", err)
	}
	c, err := compileCondition("sub != ''", nil)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := c.holds(t.Context(), conditionCall(t), nil); !holds || err != nil {
		t.Errorf("holds %v, %v", holds, err)
	}
}

// On streams a condition is asked for each message if it names the request; without a
// verified chain one that names the chain is refused.
func TestAConditionKnowsWhatItNames(t *testing.T) {
	kinds := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor()
	for source, want := range map[string]struct{ request, chain bool }{
		"sub == 'x'": {},
		"tctx.request == 'x' && tctx.chain == 'y'":                  {},
		"request.bool_field":                                        {request: true},
		"has(request.item)":                                         {request: true},
		"tctx.a == 'x' || sub == request.string_field":              {request: true},
		"sub in request.string_list":                                {request: true},
		"[sub].exists(s, s == request.string_field)":                {request: true},
		"{'a': request.string_field}.a == sub":                      {request: true},
		"tctx[request.string_field] == 1":                           {request: true},
		"size(chain) < 3":                                           {chain: true},
		"chain[0] == req_wl":                                        {chain: true},
		"chain.exists(c, c == request.string_field)":                {request: true, chain: true},
		"scope.all(request, request != 'x')":                        {},
		"scope.all(chain, chain != 'x')":                            {},
		"scope.all(request, chain.exists(chain, chain == request))": {chain: true},
		"request.string_list.all(request, request != 'x')":          {request: true},
		".request.bool_field":                                       {request: true},
		"scope.all(request, .request.string_field == request)":      {request: true},
	} {
		c, err := compileCondition(source, kinds)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if c.namesRequest != want.request || c.namesChain != want.chain {
			t.Errorf("%s names request %v, chain %v, want %+v", source, c.namesRequest, c.namesChain, want)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		"request.int64_field > 1 && tctx.amount_cents <= 100000", "request.item_list.all(i, i.sku.matches('^a+$'))",
		"size(request.item_list.filter(i, i.gift)) < 3", "request.string_map['a'] == tctx.order.id", "request.struct.a.b == 1",
		"has(request.item.part) ? request.item.part.count > 1 : peer == sub", "request.value == tctx.names", "chain.exists(c, c in scope)",
		"request.enum_field == Color.COLOR_RED", "request.timestamp < now - duration('1h')", "((((", "rctx.`ip` == '\\u0000'", ".request.child.child.bool_field",
		"request.int64_map.all(k, k > 1)", "request.list_value.exists(v, v == 1.0)", "scope.all(request, request != 'x')",
	} {
		f.Add(seed, []byte{})
	}
	kinds := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor()
	call := conditionCall(f)
	f.Fuzz(func(t *testing.T, source string, message []byte) {
		request := fuzzedKinds(message)
		if c, err := compileCondition(source, kinds); (c == nil) == (err == nil) {
			t.Fatalf("condition %v, error %v", c, err)
		} else if c != nil {
			holds, err := c.holds(t.Context(), call, request)
			if holds && err != nil {
				t.Error("holds, with an error")
			}
			other, dynamicErr := mustCondition(t, source, request).holds(t.Context(), call, dynamic(t, request))
			if holds != other || (err == nil) != (dynamicErr == nil) {
				t.Errorf("%v, %v, but of a dynamic message %v, %v", holds, err, other, dynamicErr)
			}
		}
		if c, err := compileText(source, kinds); (c == nil) == (err == nil) {
			t.Fatalf("text %v, error %v", c, err)
		} else if c != nil {
			_, _ = c.value(t.Context(), call, request)
		}
	})
}
