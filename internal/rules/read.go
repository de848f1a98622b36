package rules

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/internal/rules/options"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
)

// Of returns the rule that stands beside a method: its own option, what it leaves open out
// of its service's, and the bindings of its request's fields. declared is false when neither
// method nor service has one; rule then holds the bindings only. The descriptor may be of
// generated code or read from a file. All problems are reported at once.
func Of(method protoreflect.MethodDescriptor) (rule Rule, declared bool, err error) {
	var problems []error
	own, where, err := options.Method(method)
	problems = append(problems, err)
	byDefault, whereDefault, err := options.Service(method.Parent())
	problems = append(problems, err)
	declared = own != nil || byDefault != nil
	if byDefault.GetExempt() != nil {
		byDefault = &tratv1.Rule{} // which CheckService reports
	}
	fromFields, err := fieldRule(method.Input())
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return Rule{}, declared, err
	}
	effective, inherits := inherit(own, byDefault, method)
	if !declared {
		return fromFields, false, nil
	}
	rule, found := ruleOf(effective)
	found = append(found, rule.problems()...)
	if own != nil {
		rule.Sources = append(rule.Sources, Source{Kind: FromMethod, Where: string(method.FullName())})
	} else {
		where = whereDefault
	}
	if inherits {
		rule.Sources = append(rule.Sources, Source{Kind: FromService, Where: string(method.Parent().FullName())})
	}
	if err := found.err(where); err != nil {
		return Rule{}, true, err
	}
	if len(fromFields.Bindings) == 0 {
		return rule, true, nil
	}
	if rule.Exempt != "" {
		return Rule{}, true, fmt.Errorf("%s: exempt: but its request has bound fields, %s", where, syntax.Shown(fromFields.Bindings[0].Field))
	}
	rule, err = Merge(rule, fromFields)
	return rule, true, err
}

// CheckService finds problems that no method shows: a default that is an exemption.
func CheckService(service protoreflect.ServiceDescriptor) error {
	byDefault, where, err := options.Service(service)
	if err != nil || byDefault == nil {
		return err
	}
	rule, found := ruleOf(byDefault)
	if byDefault.GetExempt() != nil {
		found.add("exempt", "a default cannot be an exemption: a method that is added later must not be born open")
		return found.err(where)
	}
	found = append(found, rule.problems()...)
	return found.err(where)
}

// fieldRule returns the bindings of a request's fields as a rule.
func fieldRule(input protoreflect.MessageDescriptor) (Rule, error) {
	list, err := binding.Declared(input)
	if err != nil || len(list) == 0 {
		return Rule{}, err
	}
	rule := Rule{Bindings: list}
	for _, b := range list {
		if source := (Source{Kind: FromField, Where: binding.FieldName(input, b.Field)}); !slices.Contains(rule.Sources, source) {
			rule.Sources = append(rule.Sources, source)
		}
	}
	return rule, fieldProblems(list, input)
}

// fieldProblems finds what is wrong with bindings by option, each with the field that has
// it, which may be one of another message than input.
func fieldProblems(list []Binding, input protoreflect.MessageDescriptor) error {
	if len(list) > syntax.MaxEntries {
		return fmt.Errorf("%s: %d or more bound fields, at most %d are allowed", input.FullName(), len(list), syntax.MaxEntries)
	}
	var problems []error
	for i, err := range binding.Problems(list) {
		problems = append(problems, fmt.Errorf("option (trat.v1.bind) of %s, in %s: %w", binding.FieldName(input, list[i].Field), input.FullName(), err))
	}
	return errors.Join(problems...)
}

// inherit returns what holds for a method: each field of its own option, and those of the
// service's default that it does not have. inherits says whether there are any.
func inherit(own, byDefault *tratv1.Rule, method protoreflect.MethodDescriptor) (effective *tratv1.Rule, inherits bool) {
	switch {
	case own.GetExempt() != nil, byDefault == nil:
		return own, false
	case own == nil:
		own, inherits = &tratv1.Rule{}, true
	}
	merged := proto.CloneOf(own)
	to := merged.ProtoReflect()
	byDefault.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		streams := method.IsStreamingClient() || method.IsStreamingServer()
		if to.Has(field) || field.Name() == "stream" && !streams {
			return true
		}
		to.Set(field, value)
		inherits = true
		return true
	})
	return merged, inherits
}
