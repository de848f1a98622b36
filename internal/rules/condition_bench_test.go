package rules

import (
	"testing"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
)

// One condition is to cost at most 5 us.
func BenchmarkCondition(b *testing.B) {
	call := conditionCall(b)
	order := &shopv1.CreateOrderRequest{Quantity: 3}
	for _, source := range []string{
		"tctx.amount_cents <= 100000 && request.quantity > 0",
		"request.quantity > 0",
		"'order.create' in scope && peer.startsWith('spiffe://shop.test/')",
		"chain[0] == req_wl",
		"tctx.names.all(n, n != 'c')",
		"request.sku.matches('^[a-z]*$')",
	} {
		b.Run(source, func(b *testing.B) {
			c := mustCondition(b, source, order)
			b.ReportAllocs()
			for b.Loop() {
				if holds, err := c.holds(b.Context(), call, order); !holds || err != nil {
					b.Fatal(holds, err)
				}
			}
		})
	}
}

func BenchmarkRelation(b *testing.B) {
	kinds := &rulestestv1.Kinds{Int64Field: 7}
	field := kinds.ProtoReflect().Descriptor().Fields().ByName("int64_field")
	member := memberOf(b, `9`)
	r, err := compileRelation("this <= bound", field)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if holds, err := r.Holds(kinds.ProtoReflect().Get(field), member); !holds || err != nil {
			b.Fatal(holds, err)
		}
	}
}

func BenchmarkCompileCondition(b *testing.B) {
	input := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compileCondition("tctx.amount_cents <= 100000 && request.int64_field > 0", input); err != nil {
			b.Fatal(err)
		}
	}
}
