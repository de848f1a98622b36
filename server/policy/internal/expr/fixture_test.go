package expr

import (
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

func declared(t testing.TB, members map[string]string) map[string]Type {
	t.Helper()
	types := make(map[string]Type, len(members))
	for name, text := range members {
		declared, err := ParseType(text)
		if err != nil {
			t.Fatal(err)
		}
		types[name] = declared
	}
	return types
}

func parseObject(t testing.TB, text string) trat.Object {
	t.Helper()
	o, err := trat.ParseObject(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// testEnv declares a member of each type.
func testEnv(t testing.TB) *Env {
	t.Helper()
	return NewEnv(Declarations{
		Claims: declared(t, map[string]string{"department": "string", "roles": "list(string)", "given-name": "string", "limit": "int"}),
		Details: declared(t, map[string]string{
			"text": "string", "number": "int", "other": "int", "count": "uint", "ratio": "double", "flag": "bool", "at": "timestamp",
			"items": "list(map)", "names": "list(string)", "customer": "map", "blob": "any", "absent": "int",
		}),
		Context: declared(t, map[string]string{"ip": "string"}),
	})
}

var testNow = time.Date(2026, 1, 1, 12, 30, 0, 0, time.UTC)

func testInput(t testing.TB, e *Env) *Input {
	t.Helper()
	details := parseObject(t, `{
		"text": "a<b", "number": 9007199254740993, "other": 2, "count": 18446744073709551615, "ratio": 1.5, "flag": true,
		"at": "2026-01-01T00:00:00+01:00", "names": ["a", "b"],
		"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}],
		"customer": {"id": 9223372036854775807, "none": null, "tags": [1, 2.5, null]}, "blob": [1], "undeclared": 1, "absent": null
	}`)
	claims := parseObject(t, `{"department": "sales", "roles": ["a", "c"], "given-name": "Ada", "limit": "much", "auth_time": 1767270000, "sub": "u1"}`)
	return &Input{
		Now:       testNow,
		Requester: "spiffe://shop.test/gateway",
		Scope:     []string{"order.create"},
		Subject:   Subject{ID: "shop:u1", Issuer: "https://login.test", TokenType: "urn:t", Scopes: []string{"orders:write"}},
		Claims:    NewRecord(Claims, e.Declared(Claims), claims),
		Details:   NewRecord(Details, e.Declared(Details), details),
		Context:   NewRecord(Context, e.Declared(Context), trat.Object{}),
		Transaction: &Transaction{
			Scopes: []string{"order.create"}, Requester: "spiffe://shop.test/gateway", Chain: []string{"spiffe://shop.test/edge", "spiffe://shop.test/gateway"},
			Replacements: 1, Start: testNow.Add(-time.Minute), TransactionContext: parseObject(t, `{"order_id": 9007199254740993}`),
		},
	}
}
