package interceptors

import (
	"fmt"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
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
