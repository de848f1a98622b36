package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grpc-trat/grpc-trat/internal/protoset"
)

// readSet reads the descriptor set in the file of the given name.
func readSet(cmd *cobra.Command, name string) (*protoregistry.Files, error) {
	data, err := readInput(cmd, name, protoset.MaxSize)
	if err != nil {
		return nil, err
	}
	files, err := protoset.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return files, nil
}
