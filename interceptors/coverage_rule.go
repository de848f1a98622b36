package interceptors

import (
	"errors"
	"fmt"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// method covers one registered method: it joins what is said about it, everywhere, and
// compiles that.
func (v *coverage) method(r registration) {
	about := fmt.Sprintf("method %q", r.fullMethod)
	beside, declared, err := besideMethod(&r)
	v.problemOf(about, err)
	code, key, inCode := v.inCode(&r, declared)
	if err == nil && !declared && !inCode {
		v.problem(fmt.Errorf("%s has no rule", about))
		return
	}
	code, misfit := code.fit(&r, key == r.fullMethod)
	if misfit != nil {
		v.problem(fmt.Errorf("rule %q on method %q: %w", key, r.fullMethod, misfit))
	}
	if err != nil {
		return
	}
	target := v.target(&r, code)
	if inCode {
		beside, err = joined(beside, declared, code, key, target)
	}
	if err == nil {
		beside, err = v.loosen(&r, beside)
	}
	if err == nil {
		beside, err = v.tightenedBy(beside, target)
	}
	if err != nil {
		v.problemOf(about, err)
		return
	}
	program, err := rules.Compile(beside, target)
	if err != nil {
		v.problem(err) // which names the method
		return
	}
	v.problemOf(about, v.serves(program, code))
	m := newMethod(r.fullMethod, code, program)
	if !m.exempt && m.enforcement() != EnforceStrict {
		said, _ := v.loosenedBy(&r)
		m.why = said.why
	}
	v.methods[r.fullMethod] = m
}

// besideMethod returns the rule in the method's proto file, if it has one that is linked in.
func besideMethod(r *registration) (rule rules.Rule, declared bool, err error) {
	if r.descriptor == nil {
		return rules.Rule{}, false, nil
	}
	if r.descriptor.IsStreamingClient() != r.info.IsClientStream || r.descriptor.IsStreamingServer() != r.info.IsServerStream {
		return rules.Rule{}, false, errors.New("is registered as another kind of method than its proto file has")
	}
	return rules.Of(r.descriptor)
}

// inCode returns the rule of code for a method and its key: the exact one, else the
// service's, else the exemption of health, if nothing else is declared about it.
func (v *coverage) inCode(r *registration, declared bool) (rule Rule, key string, ok bool) {
	for _, key := range r.keys() {
		if rule, ok := v.rules[key]; ok {
			rule.data.Sources = []rules.Source{{Kind: rules.FromCode, Where: key}}
			return rule, key, true
		}
	}
	if isHealth(r.fullMethod) && !declared {
		rule := Exempt(healthWhy)
		rule.data.Sources = []rules.Source{{Kind: rules.FromDefault}}
		return rule, r.fullMethod, true
	}
	return Rule{}, "", false
}

// joined is the rule of code under key with what stands beside the method: where no rule is
// declared, that is the bindings of its request's fields.
func joined(beside rules.Rule, declared bool, code Rule, key string, target rules.Target) (rules.Rule, error) {
	data := code.data
	if key != target.FullMethod {
		data = rules.Fitted(data, target)
	}
	switch {
	case !declared && len(beside.Bindings) == 0:
		return data, nil
	case beside.Exempt != "" && data.Exempt == "" && key != target.FullMethod:
		_, err := rules.Merge(beside, data)
		return rules.Rule{}, fmt.Errorf("%w: give the method its own rule in code, Exempt, or drop one of the two", err)
	}
	merged, err := rules.Merge(beside, data)
	if err != nil || !declared {
		return merged, err
	}
	// What the file leaves open has its default, and code that demands less would take away
	// what readers of the file, and tools that compare files, find there.
	var problems []error
	for _, l := range rules.Loosened(target.FullMethod, rules.Effective(beside, target), rules.Effective(merged, target)) {
		problems = append(problems, fmt.Errorf("%s: code demands less than the proto file, which would have to say so: it %s", l.Field, l.Text))
	}
	return merged, errors.Join(problems...)
}

// loosen sets how strictly the method is guarded, as far as the program says so itself.
func (v *coverage) loosen(r *registration, rule rules.Rule) (rules.Rule, error) {
	said, key := v.loosenedBy(r)
	switch beside := Enforcement(rule.Enforcement); {
	case rule.Exempt != "":
		if key == r.fullMethod {
			return rule, errors.New("UnsafeEnforcement names it, and it is exempt")
		}
	case key == "":
		if beside != 0 && beside != EnforceStrict {
			return rule, fmt.Errorf("enforcement: %s by its proto file takes effect only if the program says so too, by UnsafeEnforcement", beside)
		}
	case beside != 0 && beside != said.mode:
		return rule, fmt.Errorf("enforcement: %s by its proto file, but %s by UnsafeEnforcement %q", beside, said.mode, key)
	default:
		rule.Enforcement = rules.Enforcement(said.mode)
	}
	return rule, nil
}

// loosenedBy is what UnsafeEnforcement said about the method, under which key: the exact one
// before the service's, "" for none.
func (v *coverage) loosenedBy(r *registration) (said loosening, key string) {
	for _, key := range r.keys() {
		if said, ok := v.loosened[key]; ok {
			return said, key
		}
	}
	return loosening{why: "an overlay that ends its exemption demands no more"}, ""
}

// tightenedBy applies the overlays, each to what those before it made.
func (v *coverage) tightenedBy(rule rules.Rule, target rules.Target) (_ rules.Rule, err error) {
	for _, overlay := range v.overlays {
		if rule, err = overlay.rules.Tighten(rule, target); err != nil {
			return rules.Rule{}, err
		}
	}
	return rule, nil
}

// serves reports what the guard lacks to put a rule in force, and what of code does not go
// with it.
func (v *coverage) serves(program *rules.Program, code Rule) error {
	if program.Rule.Exempt != "" {
		return nil
	}
	problems := []error{v.checkDecisionPoint(program)}
	if program.Rule.Replay == rules.ReplayOnce && v.replays.once == nil {
		problems = append(problems, errNowhereOnce)
	}
	if mode := program.Rule.Chain.Mode; mode != rules.ChainPath && len(code.through)+len(code.notThrough) > 0 {
		problems = append(problems, fmt.Errorf("Through and NotThrough are for chain mode path, and it is %s", mode))
	}
	return errors.Join(problems...)
}
