package binding

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// has reports whether a member has the shape.
func (s Shape) has(member trat.Value) bool {
	number, isNumber := member.Number()
	_, isBool := member.Bool()
	_, isText := member.Text()
	switch {
	case isBool:
		return s.Kinds&Bools != 0
	case isText:
		return s.Kinds&Texts != 0
	case isNumber && strings.ContainsAny(number, ".eE"):
		return s.Kinds&Fractions != 0
	case isNumber:
		return s.Kinds&Integers != 0
	case member.IsObject():
		return s.Kinds&Objects != 0
	case member.IsNull():
		return true
	}
	for element := range member.Elements() {
		if s.Elements != nil && !s.Elements.has(element) {
			return false
		}
	}
	return s.Kinds&Lists != 0
}

// Each member that is made of a field has a shape that the field is said to have.
//
// Covers TTS-16.
func TestWhatIsMadeOfAFieldHasItsShape(t *testing.T) {
	input := (&rulestestv1.Wide{}).ProtoReflect().Descriptor()
	list, err := Declared(input)
	if err != nil {
		t.Fatal(err)
	}
	members, err := Members(list, input, nil)
	if err != nil {
		t.Fatal(err)
	}
	compiled := mustBind(t, &rulestestv1.Wide{}, list...)
	odd := usualWide()
	odd.FloatField, odd.DoubleField, odd.EnumField, odd.StringValue = float32(math.Inf(-1)), math.Inf(1), 9, wrapperspb.String("x")
	whole := usualWide()
	whole.FloatField, whole.DoubleField = 1, -1e300
	for _, message := range []proto.Message{usualWide(), odd, whole} {
		made, err := Details(message)
		if err != nil {
			t.Fatal(err)
		}
		values := compiled.paths.AppendValues(nil, made)
		for i, m := range members {
			if value := values[compiled.list[i].slot]; !value.IsZero() && (!m.Shape.has(value) || !m.Takes(value)) {
				t.Errorf("%s: %s has not the shape %+v, or is not taken", m.Field.FullName(), value.JSON(), m.Shape)
			}
		}
	}
}

func TestARelationTakesTheShapeOfItsMember(t *testing.T) {
	kinds := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor().Fields()
	numbers, list := kinds.ByName("int32_field"), kinds.ByName("int64_list")
	for bound, want := range map[Bound]Kinds{BoundEqual: Integers, BoundValue: Integers, BoundList: Lists} {
		if got, err := bound.shape(numbers); err != nil || got.Kinds != want {
			t.Errorf("%d: %+v, %v", bound, got, err)
		}
	}
	if got, err := BoundElement.shape(list); err != nil || got.Kinds != Integers|Texts {
		t.Errorf("an element: %+v, %v", got, err)
	}
}
