package interceptors

// MethodRule is what a guard has in force for one registered method, for logs at start and
// for tests. It holds no more than rules do: names, and no values of any call.
type MethodRule struct {
	// FullMethod is "/pkg.Service/Method".
	FullMethod string
	// Exempt is why the method needs no TraT; empty if it does.
	Exempt string
	// Enforcement is how strictly the rule is enforced at present; zero for an exempt method.
	Enforcement Enforcement
	// Sources say where the rule was written, such as "method option shop.v1.Orders.Create",
	// "field option shop.v1.CreateRequest.amount", "code /shop.v1.Orders/*", the most specific
	// first.
	Sources []string
}

// Rules returns what is in force, in the order of the methods' names; nil until
// CheckCoverage has passed. Safe for concurrent use.
func (s *Server) Rules() []MethodRule {
	methods := s.methods.Load()
	if methods == nil {
		return nil
	}
	all := make([]MethodRule, 0, len(*methods))
	for _, fullMethod := range sortedKeys(*methods) {
		m := (*methods)[fullMethod]
		described := MethodRule{FullMethod: fullMethod}
		if m.exempt {
			described.Exempt = m.why
		} else {
			described.Enforcement = m.enforcement()
		}
		for _, source := range m.program.Rule.Sources {
			described.Sources = append(described.Sources, source.String())
		}
		all = append(all, described)
	}
	return all
}
