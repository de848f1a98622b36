package interceptors

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// validate returns everything that is wrong with r under the key it stands for, as far as
// it can be seen without the method and what else is said about it.
func (r Rule) validate(key string) error {
	_, method, err := splitKey(key)
	problems := slices.Clone(r.problems)
	if err != nil {
		problems = append(problems, err)
	}
	switch r.kind {
	case ruleExempt:
		problems = append(problems, r.validateExemption(method == wildcard)...)
	case ruleRequire:
		problems = append(problems, r.validateRequirement()...)
	default:
		problems = append(problems, errors.New("zero Rule: use Require or Exempt"))
	}
	for i, problem := range problems {
		problems[i] = fmt.Errorf("rule %q: %w", key, problem)
	}
	return errors.Join(problems...)
}

func (r Rule) validateExemption(ofService bool) (problems []error) {
	if r.data.Exempt == "" {
		problems = append(problems, errors.New("an exemption needs its reason"))
	}
	if ofService {
		problems = append(problems, errors.New("a wildcard cannot be exempt"))
	}
	said := r.data
	said.Exempt = ""
	if !reflect.ValueOf(said).IsZero() || len(r.callers)+len(r.through)+len(r.notThrough)+len(r.checks)+len(r.messageChecks) > 0 {
		problems = append(problems, errors.New("an exemption cannot have conditions"))
	}
	return problems
}

func (r Rule) validateRequirement() (problems []error) {
	for _, scope := range r.data.Scopes {
		problems = append(problems, validScopeToken(scope))
	}
	for _, list := range r.data.AnyScopes {
		for _, scope := range list {
			problems = append(problems, validScopeToken(scope))
		}
	}
	for name, matchers := range map[string][]spiffeid.Matcher{
		"FromCallers": r.callers, "Through": r.through, "NotThrough": r.notThrough,
	} {
		if slices.ContainsFunc(matchers, func(m spiffeid.Matcher) bool { return m == nil }) {
			problems = append(problems, fmt.Errorf("%s has a nil matcher", name))
		}
	}
	isNil := func(f CheckFunc) bool { return f == nil }
	if slices.ContainsFunc(r.checks, isNil) || slices.ContainsFunc(r.messageChecks, isNil) {
		problems = append(problems, errors.New("a check is nil"))
	}
	problems = append(problems, r.validateChain(r.data.Chain))
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

// validateChain returns what of r does not go with a chain that is required like this.
func (r Rule) validateChain(chain rules.Chain) error {
	if chain.Mode != rules.ChainHead && chain.Mode != rules.ChainOff {
		return nil
	}
	var problems [2]error
	if len(r.through)+len(r.notThrough)+len(chain.Through)+len(chain.NotThrough)+chain.MaxLinks > 0 {
		problems[0] = errors.New("Through, NotThrough and MaxLinks are for chain mode path")
	}
	if chain.Mode == rules.ChainOff && chain.StrictTrace {
		problems[1] = errors.New("StrictTrace needs a chain")
	}
	return errors.Join(problems[:]...)
}

// validScopeToken reports whether s is exactly one scope token.
func validScopeToken(s string) error {
	if err := rules.CheckScopeToken(s); err != nil {
		return fmt.Errorf("scope %q: %w", s, err)
	}
	return nil
}
