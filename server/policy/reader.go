package policy

import (
	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
)

// reader reads the rules of a policy file.
type reader struct {
	yamlfile.Reader
	service     *Service // nil: any
	descriptors []Descriptors
	env         *expr.Env // of the file's declarations
	programs    map[expression]compiled
	cost        uint64 // of the expressions of the rule being read
}
