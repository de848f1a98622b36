package expr

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Covers TTS-11, TTS-28.
func TestValuesAreComputedWithEveryDigit(t *testing.T) {
	e := testEnv(t)
	for source, want := range map[string]string{
		"details.number * details.other":                   `18014398509481986`,
		"details.number + 1":                               `9007199254740994`,
		"details.count":                                    `18446744073709551615`,
		"details.ratio * 2.0":                              `3`,
		"details.text + '>'":                               `"a<b>"`,
		"!details.flag":                                    `false`,
		"details.at":                                       `"2025-12-31T23:00:00Z"`,
		"details.items.map(i, i.n)":                        `[1,2]`,
		"details.items.filter(i, i.n > 1)":                 `[{"n":2,"sku":"b"}]`,
		"details.customer.id":                              `9223372036854775807`,
		"details.customer":                                 `{"id":9223372036854775807,"none":null,"tags":[1,2.5,null]}`,
		"{'total': details.number, 'text': details.text}":  `{"text":"a<b","total":9007199254740993}`,
		"details.blob":                                     `[1]`,
		"has(details.absent) ? details.absent : -1":        `-1`,
		"has(context.ip) ? context.ip : 'unknown'":         `"unknown"`,
		"claims.department + '/' + claims.`given-name`":    `"sales/Ada"`,
		"claims.auth_time":                                 `"2026-01-01T12:20:00Z"`,
		"claims.roles.filter(r, r in details.names)":       `["a"]`,
		"requester":                                        `"spiffe://shop.test/gateway"`,
		"scope":                                            `["order.create"]`,
		"subject.id + ' ' + subject.issuer":                `"shop:u1 https://login.test"`,
		"subject.scopes":                                   `["orders:write"]`,
		"now":                                              `"2026-01-01T12:30:00Z"`,
		"now.getHours()":                                   `12`,
		"string(details.number)":                           `"9007199254740993"`,
		"size(details.names)":                              `2`,
		"details.number > 1 && details.absent > 1 ? 1 : 2": ``,
		"details.absent > 1 || details.number > 1 ? 'yes' : 'no'": `"yes"`,
	} {
		t.Run(source, func(t *testing.T) {
			p, issues := e.Compile(source, Value, false)
			if issues != nil {
				t.Fatal(issues)
			}
			got, err := p.Value(testInput(t, e))
			if want == "" {
				if err == nil {
					t.Errorf("value %v of an absent member", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			encoder := json.NewEncoder(&text)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, strings.TrimSpace(text.String())); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	e := testEnv(t)
	for source, want := range map[string]bool{
		"now - claims.auth_time < duration('15m')":                        true,
		"now - claims.auth_time < duration('5m')":                         false,
		"requester.startsWith('spiffe://shop.test/')":                     true,
		"requester.matches('^spiffe://[a-z.]+/gateway$')":                 true,
		"scope.exists(s, s == 'order.create')":                            true,
		"details.items.all(i, i.n > 0)":                                   true,
		"details.items.exists_one(i, i.sku == 'a')":                       true,
		"has(details.customer.id) && !has(details.customer.other)":        true,
		"claims.roles.all(r, r in details.names)":                         false,
		"details.names.all(a, claims.roles.exists(b, a == b))":            false,
		"details.flag && details.ratio < 2.0 && details.count > uint(10)": true,
	} {
		t.Run(source, func(t *testing.T) {
			p, issues := e.Compile(source, Condition, false)
			if issues != nil {
				t.Fatal(issues)
			}
			if got, err := p.Test(testInput(t, e)); err != nil || got != want {
				t.Errorf("condition = %v, %v, want %v", got, err, want)
			}
		})
	}
}

func TestTheReplacedTransactionIsAVariableOfReplacementsOnly(t *testing.T) {
	e := testEnv(t)
	for source, want := range map[string]any{
		"transaction.tctx.order_id":                         int64(9007199254740993),
		"transaction.requester":                             "spiffe://shop.test/gateway",
		"size(transaction.chain)":                           int64(2),
		"transaction.scopes[0]":                             "order.create",
		"now - transaction.start < duration('90s')":         true,
		"transaction.replacements + size(transaction.rctx)": int64(1),
	} {
		p, issues := e.Compile(source, Value, true)
		if issues != nil {
			t.Fatal(source, issues)
		}
		if got, err := p.Value(testInput(t, e)); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", source, got, err, want)
		}
		if _, issues := e.Compile(source, Value, false); issues == nil {
			t.Errorf("%s compiles for an issuance", source)
		}
	}
	if _, issues := e.Compile("claims.sub == 'x'", Condition, true); issues == nil {
		t.Error("claims are there in a replacement")
	}
}

// Covers PRIV-07.
func TestErrorsSayWhatIsWrongAndNoValue(t *testing.T) {
	e := testEnv(t)
	for source, want := range map[string]string{
		"details.absent + 1":                                 "details.absent is absent",
		"context.ip + 'x'":                                   "context.ip is absent",
		"claims.limit + 1":                                   "claims.limit: want int",
		"details.number / (details.other - 2)":               "division by zero",
		"details.number * details.number":                    "integer overflow",
		"details.customer.secret":                            "no such key",
		"details.names[7]":                                   "index out of bounds",
		"details.blob + 1":                                   "no such overload",
		"int(details.text)":                                  "type conversion error",
		"details.customer.none":                              "the result is of type null_type, which JSON does not have",
		"details.ratio / (details.ratio - 1.5)":              "the result is no number of JSON",
		"timestamp(details.text)":                            "evaluation failed",
		"details.blob.map(x, details.blob.size() / (x - 1))": "division by zero",
	} {
		t.Run(source, func(t *testing.T) {
			p, issues := e.Compile(source, Value, false)
			if issues != nil {
				t.Fatal(issues)
			}
			got, err := p.Value(testInput(t, e))
			if err == nil || err.Error() != want {
				t.Errorf("value = %v, %v, want error %q", got, err, want)
			}
		})
	}
	p, _ := e.Compile("details.absent + 1", Value, false)
	_, err := p.Value(testInput(t, e))
	if absent, ok := errors.AsType[*AbsentError](err); !ok || *absent != (AbsentError{Source: Details, Name: "absent"}) {
		t.Errorf("error = %#v, want the absent member", err)
	}
	if _, err := p.Test(testInput(t, e)); err == nil {
		t.Error("a value is taken for a condition")
	}
	condition, _ := e.Compile("details.flag", Condition, false)
	if _, err := condition.Value(testInput(t, e)); err == nil {
		t.Error("a condition is taken for a value")
	}
}

// What runs is bounded even if the estimate was wrong.
func TestTheCostOfAnEvaluationIsLimited(t *testing.T) {
	e := testEnv(t)
	p, issues := e.Compile("details.names.map(a, details.names.exists(b, a == b))", Value, false)
	if issues != nil {
		t.Fatal(issues)
	}
	in := testInput(t, e)
	many := `["` + strings.Repeat(`x","`, MaxElements-1) + `x"]`
	in.Details = NewRecord(Details, e.Declared(Details), parseObject(t, `{"names":`+many+`}`))
	if _, err := p.Value(in); err != nil {
		t.Errorf("what the estimate allows costs too much: %v", err)
	}
	in.Details = NewRecord(Details, e.Declared(Details), parseObject(t, `{"names":["y",`+many[1:]+`}`))
	if _, err := p.Value(in); err == nil || !strings.Contains(err.Error(), "256 elements") {
		t.Errorf("a list that is too long: %v", err)
	}
}
