package binding

import (
	"testing"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
)

// fourTctx is a usual tctx, in which other members stand before those that are bound.
const fourTctx = `{"order_id":"ord-20261122-000471","customer":"c-88213","region":"eu-central-1","amount_cents":1299900,"currency":"EUR","quantity":3,"express":true,"v":2}`

// fourBindings are those of four fields, and a message and tctx that they hold for.
func fourBindings(tb testing.TB) (*Set, *rulestestv1.Four) {
	message := &rulestestv1.Four{AmountCents: 1299900, OrderId: "ord-20261122-000471", Quantity: 3, Express: true}
	list, err := Declared(message.ProtoReflect().Descriptor())
	if err != nil || len(list) != 4 {
		tb.Fatal(list, err)
	}
	return mustBind(tb, message, list...), message
}

func BenchmarkBindings4(b *testing.B) {
	compiled, message := fourBindings(b)
	tctx := mustObject(b, fourTctx)
	b.ReportAllocs()
	for b.Loop() {
		if err := compiled.Check(tctx, message.ProtoReflect()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDetails4(b *testing.B) {
	_, message := fourBindings(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Details(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBindingsWide(b *testing.B) {
	message := usualWide()
	list, err := Declared(message.ProtoReflect().Descriptor())
	if err != nil {
		b.Fatal(err)
	}
	compiled := mustBind(b, message, list...)
	tctx, err := Details(message)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := compiled.Check(tctx, message.ProtoReflect()); err != nil {
			b.Fatal(err)
		}
	}
}
