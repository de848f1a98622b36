package interceptors

import (
	"fmt"
	"math"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func mustHash(t *testing.T, m proto.Message) [32]byte {
	t.Helper()
	hash, err := requestHash(m)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// unknown is a field that no message here has.
func unknown() []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 4711, protowire.VarintType), 1)
}

func value(t *testing.T, v any) *structpb.Value {
	t.Helper()
	out, err := structpb.NewValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Covers RTY-03.
func TestUnknownFieldsDoNotMakeARequestNew(t *testing.T) {
	inList := &testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}, {Size: 2}}}
	inMap := value(t, map[string]any{"a": []any{map[string]any{"b": 1.0}}})
	for name, tc := range map[string]struct {
		message proto.Message
		inside  func(proto.Message) proto.Message // where the unknown field goes
	}{
		"top": {&testpb.SimpleRequest{ResponseSize: 3}, func(m proto.Message) proto.Message { return m }},
		"nested": {&testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("x")}}, func(m proto.Message) proto.Message {
			return m.(*testpb.SimpleRequest).GetPayload()
		}},
		"in a list": {inList, func(m proto.Message) proto.Message {
			return m.(*testpb.StreamingOutputCallRequest).GetResponseParameters()[1]
		}},
		"in a map, in a list, in a map": {inMap, func(m proto.Message) proto.Message {
			return m.(*structpb.Value).GetStructValue().GetFields()["a"].GetListValue().GetValues()[0].GetStructValue().GetFields()["b"]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			plain := mustHash(t, tc.message)
			stuffed := proto.Clone(tc.message)
			tc.inside(stuffed).ProtoReflect().SetUnknown(unknown())
			before, err := proto.Marshal(stuffed)
			if err != nil {
				t.Fatal(err)
			}
			if mustHash(t, stuffed) != plain {
				t.Error("an unknown field changes the hash")
			}
			after, err := proto.Marshal(stuffed)
			if err != nil || len(after) != len(before) {
				t.Errorf("the request was changed: %d bytes, before %d: %v", len(after), len(before), err)
			}
		})
	}
}

// Covers RTY-03.
func TestEqualRequestsHaveOneHashAndOthersAnother(t *testing.T) {
	fields := make(map[string]any)
	for i := range 50 {
		fields[fmt.Sprint(i)] = float64(i)
	}
	ofMap := mustHash(t, value(t, fields))
	for range 10 {
		if mustHash(t, value(t, fields)) != ofMap {
			t.Fatal("the hash depends on the order of a map")
		}
	}
	// The same message as other bytes: fields in another order, a number in more bytes
	// than it needs, a value sent twice, of which the last counts.
	want := &testpb.SimpleRequest{ResponseSize: 7, FillUsername: true}
	raw := protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), 1)
	raw = protowire.AppendVarint(protowire.AppendTag(raw, 2, protowire.VarintType), 9)
	raw = append(protowire.AppendTag(raw, 2, protowire.VarintType), 0x87, 0x80, 0x00)
	var got testpb.SimpleRequest
	if err := proto.Unmarshal(raw, &got); err != nil || !proto.Equal(&got, want) {
		t.Fatalf("the test's bytes are %v: %v", &got, err)
	}
	if mustHash(t, &got) != mustHash(t, want) {
		t.Error("the hash depends on how a message was encoded")
	}
	for _, other := range []*testpb.SimpleRequest{{ResponseSize: 8, FillUsername: true}, {ResponseSize: 7}, {}} {
		if mustHash(t, other) == mustHash(t, want) {
			t.Errorf("%v and %v have the same hash", other, want)
		}
	}
}

// What handlers do not see does not make a request new either.
//
// Covers RTY-03.
func TestRequestsThatHandlersTakeForEqualHaveOneHash(t *testing.T) {
	stuffed := &testpb.SimpleRequest{ResponseSize: 7}
	stuffed.ProtoReflect().SetUnknown(unknown())
	nan := func(bits uint64) proto.Message { return wrapperspb.Double(math.Float64frombits(bits)) }
	inAny := func(m proto.Message, host string) *anypb.Any {
		packed, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		packed.TypeUrl = host + "/" + string(m.ProtoReflect().Descriptor().FullName())
		return packed
	}
	quietNaN, otherNaN := uint64(0x7ff8000000000001), uint64(0x7ff8000000000002)
	negative := math.Copysign(0, -1)
	for name, pair := range map[string][2]proto.Message{
		"another NaN":            {nan(quietNaN), nan(otherNaN)},
		"a negative NaN":         {nan(quietNaN), nan(otherNaN | 1<<63)},
		"a negative zero":        {wrapperspb.Double(0), wrapperspb.Double(negative)},
		"a negative zero, short": {wrapperspb.Float(0), wrapperspb.Float(float32(negative))},
		"in a list, in a map": {
			value(t, map[string]any{"a": []any{0.0, 1.0}}), value(t, map[string]any{"a": []any{negative, 1.0}}),
		},
		"unknown fields in an Any": {inAny(&testpb.SimpleRequest{ResponseSize: 7}, "x"), inAny(stuffed, "x")},
		"another place of a type":  {inAny(stuffed, "type.googleapis.com"), inAny(stuffed, "example.com/types")},
		"an Any in an Any":         {inAny(inAny(&testpb.SimpleRequest{ResponseSize: 7}, "x"), "x"), inAny(inAny(stuffed, "x"), "y")},
	} {
		if mustHash(t, pair[0]) != mustHash(t, pair[1]) {
			t.Errorf("%s: another hash", name)
		}
	}
	seen := make(map[[32]byte]string)
	for name, m := range map[string]proto.Message{
		"NaN": nan(quietNaN), "0": wrapperspb.Double(0), "1": wrapperspb.Double(1), "-1": wrapperspb.Double(-1),
		"an Any": inAny(wrapperspb.Double(1), "x"), "another Any": inAny(wrapperspb.Double(2), "x"),
		"an Any of another type": inAny(wrapperspb.UInt64(1), "x"),
		"a type that is unknown": &anypb.Any{TypeUrl: "x/no.such.Type", Value: []byte{1}},
		"no message":             &anypb.Any{TypeUrl: "x/google.protobuf.DoubleValue", Value: []byte{1}},
	} {
		before := proto.Clone(m)
		hash := mustHash(t, m)
		if other, ok := seen[hash]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		if seen[hash] = name; !proto.Equal(before, m) {
			t.Errorf("%s: the request was changed", name)
		}
	}
}

// What a peer puts into a request costs a hash of it, and not its square.
func TestAnyInAnyIsNotLookedIntoForEver(t *testing.T) {
	m := &anypb.Any{TypeUrl: "x/google.protobuf.Any", Value: make([]byte, 1<<10)}
	for range 200 {
		inner, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		m = &anypb.Any{TypeUrl: "x/google.protobuf.Any", Value: inner}
	}
	if n := testing.AllocsPerRun(10, func() { mustHash(t, m) }); n > 100 {
		t.Errorf("%v allocations", n)
	}
}

func TestReplayKeysOfDifferentPartsDiffer(t *testing.T) {
	seen := make(map[string]string)
	for _, parts := range [][]string{{"jti", "a", "b"}, {"jti", "ab", ""}, {"jti", "", "ab"}, {"jtia", "b"}, {"once", "a", "b"}, {"jti", "a", "b", ""}} {
		key := replayKey(parts...)
		if other, ok := seen[key]; ok || len(key) != 32 {
			t.Errorf("%q has the key of %s, or one of %d bytes", parts, other, len(key))
		}
		seen[key] = fmt.Sprint(parts)
	}
}
