package rules

// Merge joins rules of two sources, of which both must hold. What only one can say, and
// both say differently, is an error.
func Merge(one, other Rule) (Rule, error) { return Rule{}, errNotBuilt }

// Tighten adds an overlay's rule to rule. Where it demands less, in anything that it says,
// it is an error.
func Tighten(rule, overlay Rule) (Rule, error) { return Rule{}, errNotBuilt }

// Loosening is one thing that a newer rule demands less of than an older one.
type Loosening struct {
	FullMethod string
	Field      string // of trat.v1.Rule, "scopes" or "chain.mode"
	Text       string // "no longer demands order.create"
}

// Loosened compares the rules of one method.
func Loosened(fullMethod string, older, newer Rule) []Loosening { return nil }
