package expression

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/grpc-trat/grpc-trat/trat"
)

// MaxCost is the most that an evaluation may cost, in CEL's units: by estimate, and when it
// runs. In a macro, which evaluates something for each element, a unit takes 0.2 to 0.5 us;
// where text or elements are gone through, 10 ns.
const MaxCost = 1_000_000

// Bounds of values. Claims and members of JSON objects are held to them; of what is not, the
// estimate supposes it, and the limit while an expression runs is what holds.
const (
	// MaxText is the longest string, in bytes: objects are not longer.
	MaxText = trat.MaxObjectSize
	// MaxElements is the largest list or map.
	MaxElements = 256
)

func costText(cost uint64) string {
	if cost > 1_000_000_000 {
		return "more than a billion"
	}
	return fmt.Sprint(cost)
}

// sizes bounds what CEL cannot know the size of.
type sizes struct{}

// EstimateSize implements checker.CostEstimator. All elements of a list share the size of
// the object that holds the list, so that many of them cannot be long.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	text := uint64(MaxText)
	if slices.Contains(node.Path(), "@items") {
		text = trat.MaxObjectSize / MaxElements
	}
	switch node.Type().Kind() {
	case types.StringKind, types.BytesKind, types.DynKind:
		return &checker.SizeEstimate{Max: text}
	case types.ListKind, types.MapKind:
		return &checker.SizeEstimate{Max: MaxElements}
	default:
		return nil
	}
}

// EstimateCallCost implements checker.CostEstimator. CEL knows its own functions; but what
// something of any type is in can only be a list or a map.
func (sizes) EstimateCallCost(_, overload string, _ *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if overload == overloads.InList && len(args) == 2 && args[1].Type().Kind() == types.DynKind {
		return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Max: MaxElements}}
	}
	return nil
}

// charges is what calls cost when they run, where CEL's own account is of the number of
// elements only, or of nothing: values of requests have no bound but the message's.
type charges struct{}

// CallCost implements interpreter.ActualCostEstimator. It goes by the function: of what is of
// any type, the overload shows only when it is called.
func (charges) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	var cost uint64
	switch function {
	case operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		cost = compared(args[0], args[1])
	case operators.In:
		cost = contained(args[0], args[1])
	case operators.Add:
		cost = added(result)
	case overloads.Size,
		overloads.TypeConvertBool, overloads.TypeConvertInt, overloads.TypeConvertUint, overloads.TypeConvertDouble,
		overloads.TypeConvertString, overloads.TypeConvertTimestamp, overloads.TypeConvertDuration:
		cost = text(args[0])
	default:
		return nil
	}
	return &cost
}

// compared is the cost of telling whether two values are equal, or which is less: that of
// the smaller one. Nor does it take longer to find that out: both are weighed by and by.
func compared(one, other ref.Val) uint64 {
	const first, factor = 64, 4
	for most := uint64(first); ; most = min(most*factor, MaxCost) {
		if least := min(weight(one, most), weight(other, most)); least < most || most == MaxCost {
			return least
		}
	}
}

// contained is the cost of finding a value in a list, or as a key of a map.
func contained(v, in ref.Val) uint64 {
	elements, ok := in.(traits.Lister)
	if !ok {
		return weight(v, MaxCost)
	}
	return 1 + count(elements)*weight(v, MaxCost)
}

// added is the cost of a sum. What is more than a macro may walk ends the evaluation: of a
// sum of lists CEL does not tell how long it is.
func added(sum ref.Val) uint64 {
	if list, ok := sum.(traits.Lister); ok {
		if count(list) > maxWalk {
			return MaxCost
		}
		return 1
	}
	return text(sum)
}

// text is the cost of going through a value if it is text.
func text(v ref.Val) uint64 {
	switch v.(type) {
	case types.String, types.Bytes:
		return weight(v, MaxCost)
	}
	return 1
}

func count(v traits.Sizer) uint64 {
	n, ok := v.Size().(types.Int)
	if !ok || n < 0 {
		return MaxCost
	}
	return min(uint64(n), MaxCost)
}

const (
	// bytesPerUnit is how much text costs one unit.
	bytesPerUnit = 64
	// entryUnits is what an entry of a map costs beside its value: it has to be found.
	entryUnits = 20
)

// weight is how much there is of a value, in units of cost. It stops counting at most.
func weight(v ref.Val, most uint64) uint64 {
	switch v := v.(type) {
	case types.String:
		return 1 + uint64(len(v))/bytesPerUnit
	case types.Bytes:
		return 1 + uint64(len(v))/bytesPerUnit
	case traits.Lister:
		return weigh(v, count(v), most, func(element ref.Val) ref.Val { return element })
	case traits.Mapper:
		return weigh(v, count(v)*entryUnits, most, v.Get)
	default:
		return 1
	}
}

// weigh adds the values of what has a weight of its own.
func weigh(v traits.Iterable, own, most uint64, value func(ref.Val) ref.Val) uint64 {
	total := 1 + own
	if total >= most {
		return most
	}
	for it := v.Iterator(); total < most && it.HasNext() == types.True; {
		total += weight(value(it.Next()), most-total)
	}
	return min(total, most)
}
