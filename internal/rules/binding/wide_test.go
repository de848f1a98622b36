package binding

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
)

// usualWide is a Wide with a value in every field.
func usualWide() *rulestestv1.Wide {
	return &rulestestv1.Wide{
		BoolField: true, Int32Field: -3, Uint32Field: 4, Int64Field: 1<<53 + 1, Uint64Field: 1<<64 - 1,
		FloatField: 0.1, DoubleField: 1e23, StringField: "caf\u00e9 \"1\"", BytesField: []byte{0xfb, 0xff}, EnumField: rulestestv1.Color_COLOR_RED,
		OptionalInt64: proto.Int64(0), StringValue: wrapperspb.String(""),
		Choice:    &rulestestv1.Wide_ChoiceItem{ChoiceItem: &rulestestv1.Item{Sku: "a", Gift: new(false), Tags: []string{"t"}}},
		Timestamp: &timestamppb.Timestamp{Seconds: 1782907200, Nanos: 5e8}, Duration: &durationpb.Duration{Seconds: -1, Nanos: -1},
		FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"order_id", "a.b"}},
		Struct: &structpb.Struct{Fields: map[string]*structpb.Value{
			"n": structpb.NewNumberValue(1.5), "z": structpb.NewNullValue(), "l": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewBoolValue(true)}}),
		}},
		ListValue: &structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("x"), structpb.NewNullValue()}},
		Int64List: []int64{1, -1, 1 << 60}, ItemList: []*rulestestv1.Item{{UnitPrice: 5}, {Part: &rulestestv1.Part{Weight: 0.5}}},
		StringMap: map[string]int64{"a": 1, "": -1}, Uint64Map: map[uint64]string{1<<64 - 1: "x", 0: ""},
		ItemMap: map[bool]*rulestestv1.Item{true: {Label: "yes"}, false: {}},
		Node:    &rulestestv1.Node{Name: "n", Children: []*rulestestv1.Node{{Name: "a"}, {Children: []*rulestestv1.Node{{}}}}},
		Nested:  &rulestestv1.Nested{OrderId: "ord-1", Free: "f", Deeper: &rulestestv1.Deeper{Cents: 12}},
		Plain:   []*rulestestv1.Plain{{Text: "free"}},
	}
}
