package main

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// someTrustDomain stands for that of the services, in which callers are that are paths.
// Which one it is makes no difference to what a rule says.
var someTrustDomain = spiffeid.RequireTrustDomainFromString("example.test")

// ruledMethod is a method with what stands beside it.
type ruledMethod struct {
	descriptor protoreflect.MethodDescriptor
	name       string // "/pkg.Service/Method"
	// declared says that there is a rule; without, rule has bindings and demands of an overlay
	// at most.
	declared bool
	// rule has every default filled in if it is declared and good.
	rule rules.Rule
	bad  bool // there are problems with it
}

// exempt says that no TraT is needed.
func (m ruledMethod) exempt() bool { return m.rule.Exempt != "" }

// effective is the rule with every default filled in, declared or not.
func (m ruledMethod) effective() rules.Rule {
	return rules.Effective(m.rule, rules.TargetOf(m.descriptor))
}

// ruleProblem is one thing wrong with a rule.
type ruleProblem struct {
	// Where is a method, a service, or a key of the overlay.
	Where string `json:"where"`
	Text  string `json:"text"`
}

// ruleSet is what the methods of a descriptor set require.
type ruleSet struct {
	// services and the methods of each are those of the files, sorted by service.
	services []protoreflect.ServiceDescriptor
	methods  map[protoreflect.FullName][]ruledMethod // by service
	problems []ruleProblem
	keys     map[string]bool // of the overlay, those that were for something here
}

// readRules reads the rules of all methods in files. Every problem is in what it returns.
func readRules(files *protoregistry.Files, overlay rules.Overlay) ruleSet {
	set := ruleSet{services: allServices(files), methods: make(map[protoreflect.FullName][]ruledMethod), keys: make(map[string]bool)}
	for _, service := range set.services {
		set.complain(string(service.FullName()), rules.CheckService(service))
		for i := range service.Methods().Len() {
			method, err := set.read(service.Methods().Get(i), overlay)
			set.complain(method.name, err)
			method.bad = err != nil
			set.methods[service.FullName()] = append(set.methods[service.FullName()], method)
		}
	}
	return set
}

func (s *ruleSet) complain(where string, err error) {
	for _, err := range joined(err) {
		s.problems = append(s.problems, ruleProblem{Where: where, Text: err.Error()})
	}
}

// read returns the method with as much of its rule as is good.
func (s *ruleSet) read(descriptor protoreflect.MethodDescriptor, overlay rules.Overlay) (ruledMethod, error) {
	target := rules.TargetOf(descriptor)
	target.TrustDomain, target.CallersByCode = someTrustDomain, true // neither is known here
	m := ruledMethod{descriptor: descriptor, name: target.FullMethod}
	rule, declared, err := rules.Of(descriptor)
	m.rule, m.declared = rule, declared
	if err != nil {
		return m, err
	}
	for _, key := range overlay.Keys(target) {
		s.keys[key] = true
	}
	if rule, err = overlay.Tighten(rule, target); err != nil {
		return m, err
	}
	m.rule = rule
	program, err := rules.Compile(rule, target)
	if err != nil {
		return m, err
	}
	if declared { // of other rules it is not known what code says
		m.rule = program.Rule
	}
	return m, nil
}

// checkKeys complains of each key of an overlay that is for nothing in sets.
func checkKeys(overlay rules.Overlay, sets ...ruleSet) []ruleProblem {
	var problems []ruleProblem
	for _, key := range slices.Sorted(maps.Keys(overlay)) {
		if !slices.ContainsFunc(sets, func(s ruleSet) bool { return s.keys[key] }) {
			problems = append(problems, ruleProblem{Where: key, Text: "overlay: there is no such method or service"})
		}
	}
	return problems
}

// all are the methods, sorted by service.
func (s ruleSet) all() []ruledMethod {
	var all []ruledMethod
	for _, service := range s.services {
		all = append(all, s.methods[service.FullName()]...)
	}
	return all
}

// err is the problems as one error.
func (s ruleSet) err() error {
	problems := make([]error, len(s.problems))
	for i, p := range s.problems {
		problems[i] = errors.New(p.String())
	}
	return errors.Join(problems...)
}

// String returns the problem for a person; a method is named once.
func (p ruleProblem) String() string {
	if strings.Contains(p.Text, p.Where) {
		return p.Text
	}
	return p.Where + ": " + p.Text
}

// allServices are the services of all files, sorted by name.
func allServices(files *protoregistry.Files) []protoreflect.ServiceDescriptor {
	var all []protoreflect.ServiceDescriptor
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			all = append(all, file.Services().Get(i))
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.ServiceDescriptor) int { return cmp.Compare(a.FullName(), b.FullName()) })
	return all
}

// joined are the errors that err joins, or err alone; none for nil.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return all.Unwrap()
	}
	return []error{err}
}
