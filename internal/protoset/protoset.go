// Package protoset reads descriptor sets: files that say what proto files say, rules beside
// RPCs included.
package protoset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// MaxSize is the longest descriptor set, in bytes, packed and unpacked. All public
// interfaces of a large cloud provider are 20 MiB.
const MaxSize = 32 << 20

const (
	// maxFiles bounds how many files a set has, and with them how long a chain of imports
	// can be.
	maxFiles = 20_000
	// maxDepth bounds the nesting of messages, as protoc does.
	maxDepth = 100
)

const howToMakeASet = "make one with buf build -o FILE, or with protoc --include_imports --include_source_info --descriptor_set_out=FILE"

// Parse reads a FileDescriptorSet, or an image of buf's, which is one; gzip is unpacked. All
// imports must be in it. Options that are extensions are left as they are on the wire, for
// package internal/rules to read; a set in which their numbers stand for something else is an
// error.
func Parse(data []byte) (*protoregistry.Files, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) { // no set begins like this
		unpacked, err := unpack(data)
		if err != nil {
			return nil, err
		}
		data = unpacked
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("it is longer than %d bytes", MaxSize)
	}
	files, err := newFiles(data)
	if err != nil {
		return nil, err
	}
	if err := checkNumbers(files); err != nil {
		return nil, err
	}
	return files, nil
}

func unpack(data []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(reader, MaxSize+1))
}

func newFiles(data []byte) (*protoregistry.Files, error) {
	set := new(descriptorpb.FileDescriptorSet)
	err := proto.UnmarshalOptions{Resolver: new(protoregistry.Types), RecursionLimit: maxDepth}.Unmarshal(data, set)
	switch {
	case err != nil:
		return nil, errors.New("this is no descriptor set; " + howToMakeASet)
	case len(set.GetFile()) == 0:
		return nil, errors.New("this is no descriptor set, or one without files; " + howToMakeASet)
	case len(set.GetFile()) > maxFiles:
		return nil, fmt.Errorf("it has more than %d files", maxFiles)
	}
	if err := checkImports(set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, errors.New("what it describes is not valid: " + withoutPrefix(err))
	}
	return files, nil
}

// withoutPrefix is what package protodesc says. It begins with a space that is now of one
// kind and now of another.
func withoutPrefix(err error) string {
	return strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
}

// checkImports complains of the first import that the set has not got.
func checkImports(set *descriptorpb.FileDescriptorSet) error {
	there := make(map[string]bool, len(set.GetFile()))
	for _, file := range set.GetFile() {
		there[file.GetName()] = true
	}
	for _, file := range set.GetFile() {
		for _, name := range file.GetDependency() {
			if !there[name] {
				return fmt.Errorf("%s imports %s, which is not in the set; %s", file.GetName(), name, howToMakeASet)
			}
		}
	}
	return nil
}
