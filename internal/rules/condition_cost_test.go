package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// hostile is a request of a few megabytes, all that a caller can send.
func hostile() *rulestestv1.Kinds {
	request := &rulestestv1.Kinds{
		StringField: strings.Repeat("1", 1<<20), BytesField: []byte(strings.Repeat("a", 1<<20)),
		StringMap: make(map[string]int64), Int32Map: make(map[int32]string), Struct: &structpb.Struct{Fields: make(map[string]*structpb.Value)},
	}
	for i := range 256 {
		request.Int32Map[int32(i)] = "x"
	}
	for i := range 20_000 {
		request.StringList = append(request.StringList, strings.Repeat("a", 50)+fmt.Sprint(100_000+i))
		request.StringMap[request.StringList[i]] = 1
		request.Struct.Fields[request.StringList[i]] = structpb.NewStringValue("x")
		request.Int64List = append(request.Int64List, int64(i))
	}
	for range 1000 {
		request.ItemList = append(request.ItemList, &rulestestv1.Item{Sku: "x", Part: &rulestestv1.Part{Count: 1}})
	}
	deep := structpb.NewNullValue()
	for range 1000 {
		deep = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{deep, structpb.NewNumberValue(1)}})
	}
	request.Value = deep
	return request
}

// An evaluation ends soon, whatever the request. The source of a condition is the program's
// own; the request is anybody's.
func TestTheCostOfAConditionIsBoundedWhateverTheRequest(t *testing.T) {
	const (
		tooMuch = "actual cost limit exceeded"
		tooMany = "a macro walks what is no list of up to 1000 elements and no map of up to 256"
		longKey = "a key of more than 8192 bytes is not looked up"
	)
	call, request := conditionCall(t), hostile()
	for source, why := range map[string]string{
		"request.item_list.all(n, request.item_list.all(k, k.part.count == 1))":        tooMuch,
		"request.item_list.all(n, request.int32_map.all(k, k > -1))":                   tooMuch,
		"request.item_list.all(n, request.item_list.all(k, tctx.names != []))":         tooMuch,
		"request.item_list.all(n, request.item_list.all(k, size(tctx) > 0))":           tooMuch,
		"request.item_list.all(n, request.item_list.all(k, !has(tctx.absent)))":        tooMuch,
		"request.item_list.all(n, request.item_list.all(k, chain != []))":              tooMuch,
		"request.string_list == request.string_list":                                   tooMuch,
		"!('x' in request.string_list)":                                                tooMuch,
		"request.item_list.all(n, !(n.sku + 'a' in request.string_list))":              tooMuch,
		"request.item_list.all(n, request.string_list == request.string_list)":         tooMuch,
		"request.item_list.all(n, request.struct == request.struct)":                   tooMuch,
		"request.item_list.all(n, request.value == request.value)":                     tooMuch,
		"request.item_list.all(n, request.string_map == request.string_map)":           tooMuch,
		"request.item_list.all(n, size(request.string_field) > 1)":                     tooMuch,
		"request.item_list.all(n, double(request.string_field) > 1.0)":                 tooMuch,
		"request.item_list.all(n, timestamp(request.string_field) > now)":              tooMuch,
		"request.item_list.all(n, string(request.bytes_field) != n.sku)":               tooMuch,
		"request.item_list.all(n, request.string_field != request.string_field + 'x')": tooMuch,
		"request.item_list.all(n, !request.string_field.contains('112'))":              tooMuch,
		"size(request.item_list.map(a, a.sku + request.string_field)) > 1":             tooMuch,
		"request.string_field.matches('^(1|11|111)*$')":                                tooMuch,
		"request.item_list.all(n, !(request.string_field in request.string_map))":      tooMuch,
		"request.item_list.all(n, request.string_map[request.string_field] == 1)":      longKey,
		"request.string_list.all(n, n != 'x')":                                         tooMany,
		"request.string_map.all(n, n != 'x')":                                          tooMany,
		"request.struct.all(n, n != 'x')":                                              tooMany,
		"!request.string_list.exists(n, n == 'x')":                                     tooMany,
		"size(request.string_list.filter(n, n == 'x')) == 0":                           tooMany,
	} {
		t.Run(source, func(t *testing.T) {
			start := time.Now()
			holds, err := mustCondition(t, source, request).holds(t.Context(), call, request)
			t.Logf("ended after %s", time.Since(start))
			if holds || err == nil || err.Error() != why {
				t.Errorf("holds %v, %v, want %q", holds, err, why)
			}
		})
	}
	for _, source := range []string{
		"size(request.string_list) == 20000 && request.string_list[19999] != ''", "size(request.string_map) == 20000 && !('x' in request.string_map)",
		"request.string_map != {} && {} != request.string_map && request.struct != {}", "size(request.string_field) > 1000",
		"request.item_list.all(i, i.part.count == 1 && i.sku != '')", "request.item_list.all(n, request.string_map != {})",
	} {
		if holds, err := mustCondition(t, source, request).holds(t.Context(), call, request); !holds || err != nil {
			t.Errorf("%s: %v, %v", source, holds, err)
		}
	}
	// A megabyte and thousands of elements are not too much.
	request.StringList = request.StringList[:5000]
	for _, source := range []string{
		"request.string_list == request.string_list", "!('x' in request.string_list)", "request.string_field == request.string_field",
	} {
		if holds, err := mustCondition(t, source, request).holds(t.Context(), call, request); !holds || err != nil {
			t.Errorf("%s: %v, %v", source, holds, err)
		}
	}
}

// BenchmarkTooMuch is how long it takes to find that conditions cost too much: the longest
// that a call can be kept busy by one.
func BenchmarkTooMuch(b *testing.B) {
	call, request := conditionCall(b), hostile()
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprint("name-", i))
	}
	domain := trattest.New(b, "shop.test")
	call.Token = domain.Token(trattest.Details(`{"names":[` + strings.Join(names, ",") + `]}`)) // 2 KB
	for _, inner := range []string{
		"k.part.count == 1", "tctx.names != []", "size(tctx) > 0", "chain != []", "string(now) != ''", "request.value[1] == 1.0", "request.string_list[3] != ''",
	} {
		b.Run(inner, func(b *testing.B) {
			c := mustCondition(b, "request.item_list.all(n, request.item_list.all(k, "+inner+"))", request)
			for b.Loop() {
				if holds, err := c.holds(b.Context(), call, request); holds || err == nil {
					b.Fatal("holds")
				}
			}
		})
	}
}
