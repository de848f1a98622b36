package protoset

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

// ruleOptions are the options of rules.proto.
var ruleOptions = []protoreflect.ExtensionType{tratv1.E_Rule, tratv1.E_DefaultRule, tratv1.E_Bind}

// checkNumbers complains of every extension that uses the number of one of ours, or the
// name of one with another type or number: what it says would be taken for a rule.
func checkNumbers(files *protoregistry.Files) error {
	var problems []error
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		eachExtension(file, func(extension protoreflect.ExtensionDescriptor) {
			problems = append(problems, checkNumber(extension))
		})
		return true
	})
	return errors.Join(problems...)
}

func checkNumber(extension protoreflect.ExtensionDescriptor) error {
	for _, ours := range ruleOptions {
		want := ours.TypeDescriptor()
		sameName := extension.FullName() == want.FullName()
		sameNumber := extension.Number() == want.Number() && extension.ContainingMessage().FullName() == want.ContainingMessage().FullName()
		switch {
		case sameName && (!sameNumber || !sameType(extension, want)):
			return fmt.Errorf("%s: the option %s is not that of trat/v1/rules.proto: want %s of the number %d on %s",
				extension.ParentFile().Path(), extension.FullName(), want.Message().FullName(), want.Number(), want.ContainingMessage().FullName())
		case sameNumber && !sameName:
			return fmt.Errorf("%s: the option %s has the number %d on %s, which is that of %s: one of them needs another",
				extension.ParentFile().Path(), extension.FullName(), want.Number(), want.ContainingMessage().FullName(), want.FullName())
		}
	}
	return nil
}

func sameType(extension, want protoreflect.ExtensionDescriptor) bool {
	return !extension.IsList() && extension.Message() != nil && extension.Message().FullName() == want.Message().FullName()
}

// declarations are what a file or a message can hold.
type declarations interface {
	Extensions() protoreflect.ExtensionDescriptors
	Messages() protoreflect.MessageDescriptors
}

func eachExtension(in declarations, do func(protoreflect.ExtensionDescriptor)) {
	for i := range in.Extensions().Len() {
		do(in.Extensions().Get(i))
	}
	for i := range in.Messages().Len() {
		eachExtension(in.Messages().Get(i), do)
	}
}
