package rules

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const conditionTctx = `{
	"amount_cents": 90000, "order_id": "o-1", "express": true, "ratio": 1.5, "nothing": null,
	"big": 9007199254740993, "huge": 18446744073709551615, "negative": -9223372036854775808,
	"names": ["a", "b", null], "order": {"id": 7, "lines": [{"sku": "x", "none": null}], "deep": {"er": {"yes": true}}}
}`

// conditionCall is a call that went from the gateway through orders.
func conditionCall(tb testing.TB) *Call {
	tb.Helper()
	domain := trattest.New(tb, "shop.test")
	token := domain.Token(
		trattest.Subject("user-1"), trattest.Scope("order.create order.read"),
		trattest.Details(conditionTctx), trattest.Context(`{"ip":"192.0.2.7"}`),
	)
	return &Call{
		Token: token,
		Peer:  domain.ID("orders"),
		Chain: domain.Chain(token, []string{"gateway", "orders"}, "payments", "/shop.v1.PaymentsService/Charge"),
		Now:   time.Date(2026, 1, 1, 12, 30, 0, 0, time.UTC),
	}
}

func mustCondition(tb testing.TB, source string, input proto.Message) *condition {
	tb.Helper()
	c, err := compileCondition(source, input.ProtoReflect().Descriptor())
	if err != nil {
		tb.Fatalf("%s: %v", source, err)
	}
	return c
}

// fuzzedKinds is what of text is a message.
func fuzzedKinds(text []byte) *rulestestv1.Kinds {
	m := &rulestestv1.Kinds{}
	if proto.Unmarshal(text, m) != nil {
		m.Reset()
	}
	return m
}

// dynamic is the same message without generated code.
func dynamic(tb testing.TB, m proto.Message) proto.Message {
	tb.Helper()
	text, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	d := dynamicpb.NewMessage(m.ProtoReflect().Descriptor())
	if err := proto.Unmarshal(text, d); err != nil {
		tb.Fatal(err)
	}
	return d
}
