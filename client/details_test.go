package client_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestDetailsAreTheBoundFieldsOfARequest(t *testing.T) {
	details, err := client.DetailsFrom(&shopv1.ReserveRequest{Sku: "teapot", Quantity: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	if want := object(t, `{"sku":"teapot","quantity":1152921504606846976}`); !details.Equal(want) {
		t.Errorf("got %s, want %s", details.JSON(), want.JSON())
	}
}

func TestDetailsOfNothingBoundAreAnError(t *testing.T) {
	for name, message := range map[string]proto.Message{
		"no message":       nil,
		"no bound field":   &shopv1.WatchReservationRequest{ReservationId: "r-1"},
		"not even a field": &shopv1.ReserveResponse{},
	} {
		details, err := client.DetailsFrom(message)
		var e *trat.Error
		if !errors.As(err, &e) || e.Reason != trat.ReasonParameterInvalid || !details.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
