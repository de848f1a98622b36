package binding

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-11, VER-18.
func TestDetailsHaveWhatIsBound(t *testing.T) {
	const want = `{"bool":true,"numbers":{"int32":-3,"uint32":4,"int64":9007199254740993,"uint64":18446744073709551615,"real":{"float":0.1,"double":1e+23}},` +
		`"string":"café \"1\"","bytes":"+/8=","enum":"COLOR_RED","optional":{"int64":0,"string":""},"choice-item":{"sku":"a","gift":false,"tags":["t"]},` +
		`"times":{"timestamp":"2026-07-01T12:00:00.500Z","duration":"-1.000000001s"},"field_mask":"orderId,a.b",` +
		`"json":{"struct":{"l":[true],"n":1.5,"z":null},"list":["x",null]},"lists":{"int64":[1,-1,1152921504606846976],"item":[{"unit_price":5},{"part":{"weight":0.5}}]},` +
		`"maps":{"string":{"":-1,"a":1},"uint64":{"0":"","18446744073709551615":"x"},"item":{"false":{},"true":{"label":"yes"}}},` +
		`"node":{"name":"n","children":[{"name":"a"},{"children":[{}]}]},"order":{"id":"ord-1","cents":12}}`
	for range 2 { // compiled, and known
		got, err := Details(usualWide())
		if err != nil || got.JSON() != want {
			t.Fatalf("%s, %v\nwant %s", got.JSON(), err, want)
		}
	}
	without := usualWide()
	without.OptionalInt64, without.StringValue, without.Choice = nil, nil, nil
	got, err := Details(without)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"optional", "choice-item", "choice-text"} {
		if raw, there := got.Raw(name); there {
			t.Errorf("%s is not set, and made: %s", name, raw)
		}
	}
}

// Covers TTS-11, VER-18.
func TestDetailsOfWhatNoTokenCanHold(t *testing.T) {
	deep := &rulestestv1.Node{}
	for range 20 {
		deep = &rulestestv1.Node{Children: []*rulestestv1.Node{deep}}
	}
	for name, tc := range map[string]struct {
		change func(*rulestestv1.Wide)
		reason trat.Reason
		field  string
	}{
		"not set":            {func(w *rulestestv1.Wide) { w.Timestamp = nil }, trat.ReasonParameterMissing, "timestamp"},
		"not set on the way": {func(w *rulestestv1.Wide) { w.Nested = nil }, trat.ReasonParameterMissing, "nested.order_id"},
		"not set below":      {func(w *rulestestv1.Wide) { w.Nested.Deeper = nil }, trat.ReasonParameterMissing, "nested.deeper.cents"},
		"not a number":       {func(w *rulestestv1.Wide) { w.DoubleField /= 0; w.DoubleField -= w.DoubleField }, trat.ReasonParameterInvalid, "double_field"},
		"an unknown field":   {func(w *rulestestv1.Wide) { w.Node = withUnknown(w.GetNode()) }, trat.ReasonParameterInvalid, "node"},
		"no time":            {func(w *rulestestv1.Wide) { w.Timestamp = &timestamppb.Timestamp{Nanos: -1} }, trat.ReasonParameterInvalid, "timestamp"},
		"no UTF-8":           {func(w *rulestestv1.Wide) { w.StringField = "\xff" }, trat.ReasonParameterInvalid, "string_field"},
		"no UTF-8 as a key":  {func(w *rulestestv1.Wide) { w.StringMap["\xff"] = 1 }, trat.ReasonParameterInvalid, "string_map"},
		"too deep":           {func(w *rulestestv1.Wide) { w.Node = deep }, trat.ReasonParameterInvalid, "node"},
		"too long a string":  {func(w *rulestestv1.Wide) { w.StringField = strings.Repeat("x", 9000) }, trat.ReasonParameterInvalid, "string_field"},
		"too many bytes":     {func(w *rulestestv1.Wide) { w.BytesField = make([]byte, 9000) }, trat.ReasonParameterInvalid, "bytes_field"},
		"too long a list":    {func(w *rulestestv1.Wide) { w.Int64List = make([]int64, 1e6) }, trat.ReasonParameterInvalid, "int64_list"},
		"too large a map": {func(w *rulestestv1.Wide) {
			for key := range uint64(9000) {
				w.Uint64Map[key] = ""
			}
		}, trat.ReasonParameterInvalid, "uint64_map"},
		"too many names in a map": {func(w *rulestestv1.Wide) {
			for key := range uint64(3000) {
				w.Uint64Map[key] = ""
			}
		}, trat.ReasonParameterInvalid, "uint64_map"},
		"unknown in a wrapper": {func(w *rulestestv1.Wide) { w.StringValue = withUnknown(w.GetStringValue()) }, trat.ReasonParameterInvalid, "string_value"},
		"too long together":    {func(w *rulestestv1.Wide) { w.Nested.OrderId = strings.Repeat("x", 7600) }, trat.ReasonParameterInvalid, "nested.order_id"},
	} {
		message := usualWide()
		tc.change(message)
		got, err := Details(message)
		var failure *trat.Error
		if !errors.As(err, &failure) || failure.Reason != tc.reason || failure.Field != tc.field || !got.IsZero() {
			t.Errorf("%s: %v, want %s of %s", name, err, tc.reason, tc.field)
		}
	}
	for name, message := range map[string]proto.Message{"no message": nil, "nothing bound": &rulestestv1.Kinds{}} {
		var failure *trat.Error
		if _, err := Details(message); !errors.As(err, &failure) || failure.Reason != trat.ReasonParameterInvalid || failure.Field != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Covers VER-18.
func TestDetailsOfTwoFieldsForOneMember(t *testing.T) {
	message := &rulestestv1.Kinds{Int64Field: 5, Uint64Field: 5, OptionalInt64: proto.Int64(5)}
	list := []Binding{{Field: "optional_int64", Tctx: "a.b", Optional: true}, {Field: "int64_field", Tctx: "a.b"}, {Field: "uint64_field", Tctx: "a.b"}}
	d := details{bindings: mustBind(t, message, list...)}
	for i := range d.bindings.list {
		d.root.add(&d.bindings.list[i], d.bindings.list[i].member)
	}
	if got, err := d.of(message.ProtoReflect()); err != nil || got.JSON() != `{"a":{"b":5}}` {
		t.Errorf("the same value: %s, %v", got.JSON(), err)
	}
	for field, change := range map[string]func(*rulestestv1.Kinds){
		"uint64_field": func(k *rulestestv1.Kinds) { k.Uint64Field = 6 },
		"int64_field":  func(k *rulestestv1.Kinds) { k.OptionalInt64 = nil },
	} {
		changed := proto.CloneOf(message)
		change(changed)
		_, err := d.of(changed.ProtoReflect())
		var failure *trat.Error
		if !errors.As(err, &failure) || failure.Reason != trat.ReasonParameterInvalid || failure.Field != field {
			t.Errorf("another value of %s: %v", field, err)
		}
	}
}
