package expression

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxWalk is the longest list of which a macro visits the elements, where nothing else bounds
// them. What CEL remembers of each visit to count its cost makes the next ones slower:
// without this the counting would take longer than what it counts. The largest map is of
// MaxElements: its keys have to be collected before the first is visited.
const maxWalk = 1000

// longList is a list that no macro walks. All else that a list can be asked for it can.
type longList struct{ traits.Lister }

// Type implements ref.Val.
func (longList) Type() ref.Type { return unwalkedList }

var (
	unwalkedList = types.NewObjectType("list", traits.AdderType, traits.ContainerType, traits.IndexerType, traits.SizerType)
	unwalkedMap  = types.NewObjectType("map", traits.ContainerType, traits.IndexerType, traits.SizerType)
)

// newList returns a list as macros may have it.
func newList(l traits.Lister) ref.Val {
	if count(l) > maxWalk {
		return longList{l}
	}
	return l
}
