package rules

// Keys returns the keys of the overlay that are for a method: its service's, and then its own.
func (o Overlay) Keys(target Target) (keys []string) {
	for _, key := range [...]string{"/" + target.Service() + "/*", target.FullMethod} {
		if _, ok := o[key]; ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// Tighten adds what the overlay demands of a method to the method's rule: what it demands of
// all methods of the service, as far as that fits, and then what it demands of this one. It
// fails as the function Tighten does, of the first that does not.
func (o Overlay) Tighten(rule Rule, target Target) (Rule, error) {
	for _, key := range o.Keys(target) {
		demand := o[key]
		if key != target.FullMethod {
			demand = Fitted(demand, target)
		}
		var err error
		if rule, err = Tighten(rule, demand, target); err != nil {
			return Rule{}, err
		}
	}
	return rule, nil
}
