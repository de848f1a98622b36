package rules

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
)

func conditionRequest(tb testing.TB) *rulestestv1.Kinds {
	tb.Helper()
	document, err := structpb.NewStruct(map[string]any{"a": map[string]any{"b": []any{1.0, "x", nil}}, "n": nil, "t": true})
	if err != nil {
		tb.Fatal(err)
	}
	return &rulestestv1.Kinds{
		BoolField: true, Int32Field: -5, Uint32Field: 5, Int64Field: 9007199254740993, Uint64Field: math.MaxUint64, Fixed64Field: 1,
		FloatField: 0.5, DoubleField: 1.5, StringField: "o-1", BytesField: []byte("ab"), EnumField: rulestestv1.Color_COLOR_BLUE,
		OptionalInt64: new(int64(0)), Choice: &rulestestv1.Kinds_ChoiceNumber{ChoiceNumber: 4},
		Int64Value: wrapperspb.Int64(math.MinInt64), StringValue: wrapperspb.String(""),
		Timestamp: timestamppb.New(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)), Duration: durationpb.New(90 * time.Second),
		Struct: document, Value: structpb.NewStringValue("text"), ListValue: &structpb.ListValue{Values: []*structpb.Value{structpb.NewNumberValue(2)}},
		Int64List: []int64{1, 2}, StringList: []string{"a", "b"}, EnumList: []rulestestv1.Color{rulestestv1.Color_COLOR_RED},
		ItemList: []*rulestestv1.Item{{Sku: "x", UnitPrice: 3, Tags: []string{"new"}}, {Sku: "y", Gift: new(false), Part: &rulestestv1.Part{Count: 2}}},
		BoolMap:  map[bool]string{true: "yes"}, Int32Map: map[int32]string{-1: "minus"}, Uint32Map: map[uint32]string{7: "seven"},
		Int64Map: map[int64]string{math.MinInt64: "least"}, Uint64Map: map[uint64]string{math.MaxUint64: "most"},
		StringMap: map[string]int64{"a": 1, "b": 2}, ItemMap: map[string]*rulestestv1.Item{"k": {Sku: "z"}},
		Item: &rulestestv1.Item{Sku: "x", Label: "X"},
	}
}

// Covers VER-18.
func TestConditions(t *testing.T) {
	call, request := conditionCall(t), conditionRequest(t)
	generic := dynamic(t, request)
	for source, want := range map[string]bool{
		// The call.
		"sub == 'user-1' && peer == 'spiffe://shop.test/orders' && req_wl == 'spiffe://shop.test/gateway'": true,
		"chain == ['spiffe://shop.test/gateway', 'spiffe://shop.test/orders']":                             true,
		"chain[size(chain) - 1] == peer":                           true,
		"'order.create' in scope && !('order.delete' in scope)":    true,
		"scope.all(s, s.startsWith('order.')) && size(scope) == 2": true,
		"rctx.ip == '192.0.2.7' && size(rctx) == 1":                true,
		"now == timestamp('2026-01-01T12:30:00Z')":                 true,
		"now.getHours() < 12":                                      false,

		// tctx: every digit, and null is absent.
		"tctx.big == 9007199254740993 && tctx.big != 9007199254740992":              true,
		"tctx.huge == 18446744073709551615u && tctx.huge > 1":                       true,
		"tctx.negative == -9223372036854775808 && tctx.ratio == 1.5":                true,
		"has(tctx.order.id) && !has(tctx.nothing) && !has(tctx.missing)":            true,
		"!('nothing' in tctx) && 'names' in tctx && size(tctx) == 9":                true,
		"tctx.names == ['a', 'b', null] && tctx.names[2] == null":                   true,
		"tctx.order.lines.all(l, l.sku == 'x' && !has(l.none))":                     true,
		"tctx.order.lines == [{'sku': 'x'}] && tctx.order.deep.er == {'yes': true}": true,
		"tctx.order.deep.er.yes && tctx['order']['id'] == 7":                        true,
		"tctx.order.exists(k, k == 'id') && tctx.order.all(k, size(k) < 6)":         true,

		// The request's scalars.
		"request.bool_field && request.int32_field == -5 && request.uint32_field == 5u": true,
		"request.int64_field == tctx.big && request.uint64_field == tctx.huge":          true,
		"request.float_field == 0.5 && request.double_field == tctx.ratio":              true,
		"request.string_field == tctx.order_id && request.bytes_field == b'ab'":         true,
		"request.enum_field == Color.COLOR_BLUE && request.enum_field == 2":             true,
		"request.enum_field == rulestest.v1.Color.COLOR_RED":                            false,
		"request.enum_list == [Color.COLOR_RED]":                                        true,
		"request.sint64_field == 0 && !has(request.sint64_field)":                       true,

		// Presence.
		"has(request.optional_int64) && request.optional_int64 == 0 && !has(request.optional_string)":             true,
		"has(request.choice_number) && !has(request.choice_text) && request.choice_number == 4":                   true,
		"has(request.item) && !has(request.child) && !has(request.child.item.part) && has(request.string_list)":   true,
		"request.child.child.int64_field == 0":                                                                    true,
		"request.item_list[1].gift == false && has(request.item_list[1].gift) && !has(request.item_list[0].gift)": true,

		// Well-known types.
		"request.int64_value == -9223372036854775808 && request.string_value == ''":  true,
		"request.bool_value == null && !has(request.bool_value)":                     true,
		"request.timestamp <= now && now - request.timestamp == duration('30m')":     true,
		"request.duration < duration('2m')":                                          true,
		"request.struct.a.b == [1.0, 'x', null] && request.struct.t":                 true,
		"has(request.struct.a) && 'n' in request.struct && request.struct.n == null": true,
		"request.struct.a.all(k, k == 'b') && size(request.struct) == 3":             true,
		"request.value == 'text' && request.list_value[0] == 2.0":                    true,

		// Lists and maps.
		"request.int64_list == [1, 2] && 2 in request.int64_list && !(3 in request.int64_list)":                     true,
		"request.string_list.all(s, s in tctx.names)":                                                               true,
		"request.item_list.exists(i, 'new' in i.tags) && request.item_list.map(i, i.unit_price) == [3, 0]":          true,
		"size(request.item_list.filter(i, i.unit_price > 1)) == 1":                                                  true,
		"request.item_list.all(i, i.part.count < 2)":                                                                false,
		"request.string_map == {'a': 1, 'b': 2} && request.string_map.all(k, request.string_map[k] < 3)":            true,
		"request.string_map.a + request.string_map['b'] == 3 && !('c' in request.string_map)":                       true,
		"request.bool_map[true] == 'yes' && request.int32_map[-1] == 'minus' && !(8589934591 in request.int32_map)": true,
		"request.uint32_map[7u] == 'seven' && request.int64_map[-9223372036854775808] == 'least'":                   true,
		"request.uint64_map[18446744073709551615u] == 'most'":                                                       true,
		"request.item_map['k'].sku == 'z' && 'k' in request.item_map && !has(request.item_map.x)":                   true,
	} {
		t.Run(source, func(t *testing.T) {
			c := mustCondition(t, source, request)
			for name, m := range map[string]proto.Message{"generated": request, "dynamic": generic} {
				if holds, err := c.holds(t.Context(), call, m); err != nil || holds != want {
					t.Errorf("%s: holds %v, %v, want %v", name, holds, err, want)
				}
			}
		})
	}
}

// Covers VER-18, PRIV-07.
func TestWhatCannotBeEvaluatedDoesNotHold(t *testing.T) {
	call, request := conditionCall(t), conditionRequest(t)
	request.ItemList[0].Sku = "secret-sku"
	request.StringField = "secret-text"
	for source, why := range map[string]string{
		"tctx.missing == 1":                                 "no such key",
		"tctx.nothing != 1":                                 "no such key",
		"tctx.missing != 1 || tctx.missing == 2":            "no such key",
		"tctx.order.nothing.more == 1":                      "no such key",
		"tctx.amount_cents > 'secret'":                      "no such overload",
		"tctx.order_id + 1 == 2":                            "no such overload",
		"request.item_list[7].sku == 'x'":                   "index out of bounds",
		"request.string_map[request.string_field] > 0":      "no such key",
		"chain[5] == peer":                                  "index out of bounds",
		"int(request.string_field) > 0":                     "type conversion error",
		"timestamp(request.string_field) < now":             "evaluation failed",
		"request.int64_field * request.int64_field > 0":     "integer overflow",
		"1 / (request.int32_field + 5) > 0":                 "division by zero",
		"tctx.names.exists(n, n > 1)":                       "no such overload",
		"request.bool_value || request.bool_field == false": "no such overload",
		"request.struct.a.missing == request.string_field":  "no such key",
		"request.value.member == 1":                         "no such key",
	} {
		t.Run(source, func(t *testing.T) {
			holds, err := mustCondition(t, source, request).holds(t.Context(), call, request)
			if holds || err == nil {
				t.Fatalf("holds %v, %v", holds, err)
			}
			if err.Error() != why {
				t.Errorf("error %q, want %q", err, why)
			}
			if errors.Unwrap(err) != nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q tells a value", err)
			}
		})
	}
}

func TestACallThatLacksSomethingDoesNotHold(t *testing.T) {
	request := conditionRequest(t)
	c := mustCondition(t, "request.bool_field", request)
	call := conditionCall(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, eval := range map[string]func() (bool, error){
		"no call":      func() (bool, error) { return c.holds(t.Context(), nil, request) },
		"no token":     func() (bool, error) { return c.holds(t.Context(), &Call{Peer: call.Peer}, request) },
		"no message":   func() (bool, error) { return c.holds(t.Context(), call, nil) },
		"another type": func() (bool, error) { return c.holds(t.Context(), call, &rulestestv1.Item{}) },
		"no condition": func() (bool, error) { return (&condition{}).holds(t.Context(), call, request) },
		"a nil one":    func() (bool, error) { return (*condition)(nil).holds(t.Context(), call, request) },
		"canceled":     func() (bool, error) { return c.holds(canceled, call, request) },
	} {
		if holds, err := eval(); holds || err == nil {
			t.Errorf("%s: holds %v, %v", name, holds, err)
		}
	}
	none := &Call{Token: call.Token, Peer: call.Peer, Now: call.Now}
	if holds, err := mustCondition(t, "size(chain) == 0 && peer != ''", request).holds(t.Context(), none, nil); !holds || err != nil {
		t.Errorf("without a chain: holds %v, %v", holds, err)
	}
	if holds, err := c.holds(t.Context(), call, (*rulestestv1.Kinds)(nil)); holds || err != nil {
		t.Errorf("of an empty request: holds %v, %v", holds, err)
	}
}

// Times that no clock shows are not taken for others.
func TestTimesOutOfRangeDoNotHold(t *testing.T) {
	call := conditionCall(t)
	for _, request := range []*rulestestv1.Kinds{
		{Timestamp: &timestamppb.Timestamp{Seconds: math.MaxInt64}, Duration: &durationpb.Duration{Seconds: math.MaxInt64}},
		{Timestamp: &timestamppb.Timestamp{Seconds: math.MinInt64}, Duration: &durationpb.Duration{Seconds: math.MinInt64}},
		{Timestamp: &timestamppb.Timestamp{Nanos: -1}, Duration: &durationpb.Duration{Seconds: 1, Nanos: -1}},
		{Timestamp: &timestamppb.Timestamp{Nanos: math.MaxInt32}, Duration: &durationpb.Duration{Nanos: math.MaxInt32}},
	} {
		for _, source := range []string{
			"request.timestamp < now", "request.timestamp >= now", "request.duration < duration('1s')", "request.duration >= duration('1s')",
		} {
			if holds, err := mustCondition(t, source, request).holds(t.Context(), call, request); holds || err == nil {
				t.Errorf("%s: holds %v, %v", source, holds, err)
			}
		}
	}
}

func TestTextIsAStringOrNothing(t *testing.T) {
	call, request := conditionCall(t), conditionRequest(t)
	request.StringList = []string{strings.Repeat("x", syntax.MaxText+1), strings.Repeat("x", syntax.MaxText)}
	input := request.ProtoReflect().Descriptor()
	for source, want := range map[string]string{
		"request.string_field":                 "o-1",
		"'order/' + tctx.order_id":             "order/o-1",
		"tctx.order_id":                        "o-1",
		"string(request.int64_field)":          "9007199254740993",
		"tctx.amount_cents":                    "",
		"tctx.missing":                         "",
		"request.bool_field ? tctx.x : 'none'": "",
		"request.optional_string":              "", // whatever names nothing
		"request.string_list[0]":               "", // and what is no name
		"request.string_list[1]":               strings.Repeat("x", syntax.MaxText),
	} {
		c, err := compileText(source, input)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := c.value(t.Context(), call, request); got != want || (err == nil) != (want != "") {
			t.Errorf("%s = %q, %v, want %q", source, got, err, want)
		}
	}
	for source, says := range map[string]string{
		"request.int64_field": "want a string, not int", "request.item": "want a string", "'orders'": "is always the same",
		"request.nothing": "undefined field",
	} {
		if _, err := compileText(source, input); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", source, err, says)
		}
	}
}

func TestConditionsAreSafeForConcurrentUse(t *testing.T) {
	call, request := conditionCall(t), conditionRequest(t)
	c := mustCondition(t, "tctx.order.lines.all(l, l.sku == 'x') && request.item_list.exists(i, i.sku.matches('^[xy]$')) && chain[0] == req_wl && "+
		"request.struct.a.b[1] == 'x' && request.string_map.all(k, request.string_map[k] < 3)", request)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if holds, err := c.holds(t.Context(), call, request); !holds || err != nil {
					t.Error(holds, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// Methods may take a well-known type as it is.
func TestARequestOfAWellKnownTypeIsItsValue(t *testing.T) {
	object, err := structpb.NewStruct(map[string]any{"a": "x"})
	if err != nil {
		t.Fatal(err)
	}
	call := conditionCall(t)
	for _, tc := range []struct {
		source  string
		request proto.Message
		holds   bool
		why     string
	}{
		{"request == 'x'", wrapperspb.String("x"), true, ""},
		{"request == 'x'", wrapperspb.String("y"), false, ""},
		{"request > 1", wrapperspb.Int64(2), true, ""},
		{"request.a == 'x' && 'a' in request", object, true, ""},
		{"request.b == 'x'", object, false, "no such key"},
		{"request == 'x'", structpb.NewStringValue("x"), true, ""},
		{"request < now", timestamppb.New(call.Now.Add(-1)), true, ""},
		{"request < now", &timestamppb.Timestamp{Nanos: -1}, false, "a timestamp or duration is out of range"},
	} {
		for name, request := range map[string]proto.Message{"generated": tc.request, "dynamic": dynamic(t, tc.request)} {
			holds, err := mustCondition(t, tc.source, request).holds(t.Context(), call, request)
			if why := fmt.Sprint(err); holds != tc.holds || (err != nil || tc.why != "") && why != tc.why {
				t.Errorf("%s, %T, %s: %v, %v", tc.source, tc.request, name, holds, err)
			}
		}
	}
}
