package rules

import "google.golang.org/protobuf/reflect/protoreflect"

// Of returns the rule that stands beside a method: its own option, what it leaves open out
// of its service's, and the bindings of its request's fields. declared is false when neither
// method nor service has one; rule then holds the bindings only.
func Of(method protoreflect.MethodDescriptor) (rule Rule, declared bool, err error) {
	return Rule{}, false, errNotBuilt
}

// Service finds problems that no method shows: a default that is an exemption.
func CheckService(service protoreflect.ServiceDescriptor) error { return errNotBuilt }
