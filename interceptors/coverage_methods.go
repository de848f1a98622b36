package interceptors

import (
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// coverage is one check of what is registered.
type coverage struct {
	*Server
	services map[string]grpc.ServiceInfo
	methods  map[string]*method // found to be covered
	names    map[string]bool    // that a key can have: of methods and, with a wildcard, of services
	problems []error
}

// problem notes each of the problems that are joined in err, in its own line.
func (v *coverage) problem(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			v.problem(err)
		}
		return
	}
	if err != nil {
		v.problems = append(v.problems, err)
	}
}

// problemOf notes the problems in err, each with what it is about.
func (v *coverage) problemOf(what string, err error) {
	of := coverage{}
	of.problem(err)
	for _, err := range of.problems {
		v.problem(fmt.Errorf("%s: %w", what, err))
	}
}

// service covers the methods of one registered service.
func (v *coverage) service(name string) {
	descriptor := serviceDescriptor(name)
	var declared protoreflect.MethodDescriptors
	if descriptor != nil {
		v.problem(rules.CheckService(descriptor))
		declared = descriptor.Methods()
	} else if file := v.protoFile(name); file != "" {
		v.problem(fmt.Errorf("service %q is not in its proto file %q, whose rules would not be in force: "+
			"register it under its name, or without Metadata and with rules in code", name, file))
	}
	v.names["/"+name+"/"+wildcard] = true
	for _, info := range v.services[name].Methods {
		r := registration{service: name, fullMethod: "/" + name + "/" + info.Name, info: info}
		if declared != nil {
			r.descriptor = declared.ByName(protoreflect.Name(info.Name))
			v.unlisted(&r)
		}
		v.names[r.fullMethod] = true
		v.method(r)
	}
	for i := 0; declared != nil && i < declared.Len(); i++ {
		absent := declared.Get(i)
		if v.names["/"+name+"/"+string(absent.Name())] {
			continue
		}
		if _, hasRule, _ := rules.Of(absent); hasRule {
			v.problem(fmt.Errorf("%s has a rule in its proto file, and is not registered with its service", absent.FullName()))
		}
	}
}

// unlisted finds a method with a rule in code only because the proto file that is linked in
// is not that which it was registered from: neither its own rule there nor the default of the
// service would be in force.
func (v *coverage) unlisted(r *registration) {
	if _, _, inCode := v.inCode(r, false); inCode && r.descriptor == nil {
		v.problem(fmt.Errorf("method %q: is not in the proto file of its service, whose rules would not be in force", r.fullMethod))
	}
}

// protoFile is the proto file that a service was registered with, "" unless it is linked in.
func (v *coverage) protoFile(service string) string {
	file, ok := v.services[service].Metadata.(string)
	if !ok {
		return ""
	}
	if _, err := protoregistry.GlobalFiles.FindFileByPath(file); err != nil {
		return ""
	}
	return file
}

// serviceDescriptor returns what the proto file says about a service; nil when none that is
// linked in does.
func serviceDescriptor(name string) protoreflect.ServiceDescriptor {
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	service, _ := descriptor.(protoreflect.ServiceDescriptor)
	return service
}

// registration is one registered method.
type registration struct {
	service, fullMethod string
	info                grpc.MethodInfo
	descriptor          protoreflect.MethodDescriptor // nil: none is linked in
}

// keys are those that a rule for the method can have, the exact one first.
func (r *registration) keys() [2]string {
	return [2]string{r.fullMethod, "/" + r.service + "/" + wildcard}
}

func (r *registration) streams() bool { return r.info.IsClientStream || r.info.IsServerStream }

// target is the method as package rules wants it, for a rule of code beside which it is
// compiled.
func (v *coverage) target(r *registration, code Rule) rules.Target {
	target := rules.Target{
		FullMethod:    r.fullMethod,
		TrustDomain:   v.trustDomain,
		ClientStreams: r.info.IsClientStream,
		ServerStreams: r.info.IsServerStream,
		CallersByCode: len(code.callers) > 0,
	}
	if r.descriptor != nil {
		target.Input = r.descriptor.Input()
	}
	return target
}

// unused finds what names nothing that is registered.
func (v *coverage) unused() {
	unusedKeys(v, "rule", v.rules)
	for _, overlay := range v.overlays {
		unusedKeys(v, "overlay", overlay.rules)
	}
	unusedKeys(v, "UnsafeEnforcement", v.loosened)
}

func unusedKeys[V any](v *coverage, what string, keyed map[string]V) {
	for _, key := range sortedKeys(keyed) {
		if !v.names[key] {
			v.problem(fmt.Errorf("%s %q names nothing that is registered", what, key))
		}
	}
}

// fit returns the rule with only the checks and the settings that are for a method of r's
// kind, and an error when there are checks that could not run.
func (r Rule) fit(of *registration, exact bool) (Rule, error) {
	applies, other := &r.checks, &r.messageChecks
	misfit := errors.New("CheckMessage is for streams, this method is unary: use Check")
	if of.streams() {
		applies, other = other, applies
		misfit = errors.New("Check is for unary methods, this one streams: use CheckMessage")
	}
	if len(*other) > 0 && (exact || len(*applies) == 0) {
		return r, misfit
	}
	*other = nil
	return r, nil
}
