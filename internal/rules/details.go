package rules

import (
	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Details returns the parameters of a transaction that message is to be allowed in: for each
// field of it that is bound by equality, the member with its value. Errors are an
// *trat.Error that names the field.
func Details(message proto.Message) (trat.Object, error) { return trat.Object{}, errNotBuilt }
