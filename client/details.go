package client

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/trat"
)

// DetailsFrom returns the parameters of a transaction that message is to be allowed in, for
// [Request].Details: for each of its fields that is bound to the transaction by equality
// (the option trat.v1.bind in its proto file), the member of tctx that it is bound to, with
// the field's value. So who asks for the TraT and who checks the request go by one
// annotation:
//
//	details, err := client.DetailsFrom(charge) // before the call
//	...
//	token, err := tts.Exchange(ctx, client.Request{Details: details, ...})
//	...
//	payments.Charge(trat.NewContext(ctx, token), charge)
//
// The token service's policy must know the members and put them into tctx; what it leaves
// out, the called service misses. Fields with a relation in place of equality are left out:
// what bounds them is for the application to say. So are bindings of a method's rule, which
// are no part of the message.
//
// Errors are an *trat.Error that names the field at fault, with names joined by dots:
// PARAMETER_MISSING for a field that is not set and not optional, PARAMETER_INVALID for one
// whose member another field has with another value, for one without a JSON form, such as
// NaN, and, without a field, for a message of a type that binds none by equality. They hold
// no values. Safe for concurrent use.
func DetailsFrom(message proto.Message) (trat.Object, error) {
	details, err := binding.Details(message)
	if err != nil {
		return trat.Object{}, fmt.Errorf("client: details: %w", err)
	}
	return details, nil
}
