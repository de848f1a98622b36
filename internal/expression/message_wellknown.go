package expression

import (
	"math"
	"time"

	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// wellKnown reads messages that are values of CEL, by the numbers of their fields, so that
// it does not matter which Go type a message has.
var wellKnown = map[protoreflect.FullName]func(protoreflect.Message) (any, error){
	"google.protobuf.BoolValue":   wrapper,
	"google.protobuf.BytesValue":  wrapper,
	"google.protobuf.DoubleValue": wrapper,
	"google.protobuf.FloatValue":  wrapper,
	"google.protobuf.Int32Value":  wrapper,
	"google.protobuf.Int64Value":  wrapper,
	"google.protobuf.StringValue": wrapper,
	"google.protobuf.UInt32Value": wrapper,
	"google.protobuf.UInt64Value": wrapper,
	"google.protobuf.Duration":    duration,
	"google.protobuf.Timestamp":   timestamp,
}

func init() { // these refer to each other
	wellKnown["google.protobuf.ListValue"] = jsonList
	wellKnown["google.protobuf.Struct"] = jsonObject
	wellKnown["google.protobuf.Value"] = jsonValue
}

// number returns a field.
func number(m protoreflect.Message, n protoreflect.FieldNumber) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByNumber(n))
}

// wrapper is null when it is not set.
func wrapper(m protoreflect.Message) (any, error) {
	if !m.IsValid() {
		return types.NullValue, nil
	}
	return scalar(number(m, 1)), nil
}

func timestamp(m protoreflect.Message) (any, error) {
	seconds, nanos := number(m, 1).Int(), number(m, 2).Int()
	if seconds < firstSecond || seconds > lastSecond || nanos < 0 || nanos >= int64(time.Second) {
		return nil, errNoTime
	}
	return types.Timestamp{Time: time.Unix(seconds, nanos).UTC()}, nil
}

// The bounds of timestamps: years 1 to 9999.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// duration reads what CEL can hold: durations of up to 292 years.
func duration(m protoreflect.Message) (any, error) {
	seconds, nanos := number(m, 1).Int(), number(m, 2).Int()
	const most = math.MaxInt64/int64(time.Second) - 1
	if seconds < -most || seconds > most || nanos <= -int64(time.Second) || nanos >= int64(time.Second) ||
		seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		return nil, errNoTime
	}
	return types.Duration{Duration: time.Duration(seconds)*time.Second + time.Duration(nanos)}, nil
}

func jsonObject(m protoreflect.Message) (any, error) {
	fields := m.Descriptor().Fields().ByNumber(1)
	return newMap(mapEntries{Map: m.Get(fields).Map(), key: protoreflect.StringKind, value: jsonMember}), nil
}

func jsonList(m protoreflect.Message) (any, error) {
	return newList(types.NewProtoList(elements{jsonMember}, number(m, 1).List())), nil
}

func jsonMember(v protoreflect.Value) (any, error) { return jsonValue(v.Message()) }

func jsonValue(m protoreflect.Message) (any, error) {
	kind := m.Descriptor().Oneofs().Get(0)
	set := m.WhichOneof(kind)
	if set == nil {
		return types.NullValue, nil
	}
	switch v := m.Get(set); int(set.Number()) {
	case 2, 3, 4: // number, string, bool
		return scalar(v), nil
	case 5:
		return jsonObject(v.Message())
	case 6:
		return jsonList(v.Message())
	}
	return types.NullValue, nil
}
