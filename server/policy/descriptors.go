package policy

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Descriptors finds services with their rules; a *protoregistry.Files is one. It is safe for
// concurrent use.
type Descriptors interface {
	FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error)
}

// methodsOf returns every version of a method that there is: several while one version of a
// service replaces another.
func methodsOf(descriptors []Descriptors, fullMethod string) ([]protoreflect.MethodDescriptor, error) {
	if len(descriptors) == 0 {
		return nil, errors.New("cannot be checked: there are no descriptor sets " +
			"(key descriptors of the configuration, flag --descriptors of the command)")
	}
	service, name, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	var methods []protoreflect.MethodDescriptor
	problem := fmt.Errorf("no descriptor set has the service %s", service)
	for _, d := range descriptors {
		found, err := d.FindDescriptorByName(protoreflect.FullName(service))
		if err != nil {
			continue // its only error is that there is none
		}
		descriptor, ok := found.(protoreflect.ServiceDescriptor)
		if !ok {
			problem = fmt.Errorf("%s is no service", service)
			continue
		}
		if method := descriptor.Methods().ByName(protoreflect.Name(name)); method != nil {
			methods = append(methods, method)
		} else {
			problem = fmt.Errorf("the service %s has no method %s", service, name)
		}
	}
	if len(methods) == 0 {
		return nil, problem
	}
	return methods, nil
}

// checkMethod wants the name of one method, as gRPC has it.
func checkMethod(fullMethod string) error {
	rest, slash := strings.CutPrefix(fullMethod, "/")
	service, method, ok := strings.Cut(rest, "/")
	if !slash || !ok || !protoreflect.FullName(service).IsValid() || !protoreflect.Name(method).IsValid() {
		return errors.New("want a method such as /shop.v1.OrdersService/CreateOrder")
	}
	return nil
}
