package trat

import (
	"encoding/json"
	"testing"
)

type amount struct {
	Cents int64 `json:"amount"`
}

type order struct {
	amount
	*Note
	SKU     string            `json:"sku"`
	Lines   []amount          `json:"lines"`
	Pair    [2]amount         `json:"pair"`
	ByName  map[string]amount `json:"by_name"`
	Deep    **amount          `json:"deep"`
	Any     any               `json:"any"`
	Own     ownReader         `json:"own"`
	Plain   string
	Hidden  string `json:"-"`
	private string
}

// Note embeds itself through an order, as types may.
type Note struct {
	*order
	Text string `json:"text"`
}

// ownReader is a type whose names encoding/json does not know.
type ownReader struct{ text string }

func (o *ownReader) UnmarshalJSON(b []byte) error {
	o.text = string(b)
	return nil
}

// What a check reads by name and what a handler decodes into a struct must be the
// same; encoding/json alone would let "AMOUNT" overwrite "amount".
//
// Covers VER-11.
func TestDecodeRefusesTwoMembersForOneField(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"amount":1}`:                               true,
		`{"AMOUNT":1}`:                               true,
		`{"amount":1,"AMOUNT":9}`:                    false,
		`{"AMOUNT":9,"amount":1}`:                    false,
		`{"AMOUNT":9,"aMOUNT":1}`:                    false,
		`{"amount":1,"\u0041mount":9}`:               false,
		`{"sku":"x","s\u212au":"x"}`:                 false, // KELVIN SIGN folds to k
		`{"ſku":"x","sku":"x"}`:                      false, // LONG S folds to s
		`{"text":"x","Text":"x"}`:                    false,
		`{"text":"x","texts":"y","TEXTS":"z"}`:       true, // no field has the name
		`{"lines":[{"amount":1},{"Amount":1}]}`:      true,
		`{"lines":[{},{"amount":1,"Amount":9}]}`:     false,
		`{"pair":[{"amount":1,"Amount":9}]}`:         false,
		`{"by_name":{"a":{"amount":1},"A":{}}}`:      true, // a map's names are not fields
		`{"by_name":{"a":{"amount":1,"Amount":9}}}`:  false,
		`{"deep":{"amount":1,"AmounT":9}}`:           false,
		`{"any":{"Amount":1,"amount":9}}`:            true,
		`{"own":{"Amount":1,"amount":9}}`:            true,
		`{"Plain":"x","plain":"x"}`:                  false,
		`{"hidden":"x","private":"x","Private":"x"}`: true,
	} {
		var o order
		err := mustObject(t, text).Decode(&o)
		if !ok {
			wantError(t, err, ReasonParameterInvalid, "")
		} else if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if o.Hidden != "" || o.private != "" {
			t.Errorf("%s: a field that has no name was set", text)
		}
	}
	var members map[string]any
	if err := mustObject(t, `{"amount":1,"AMOUNT":9}`).Decode(&members); err != nil || len(members) != 2 {
		t.Errorf("into a map: %v, %v", members, err)
	}
	var raw json.RawMessage
	if err := mustObject(t, `{"amount":1,"AMOUNT":9}`).Decode(&raw); err != nil {
		t.Errorf("into raw JSON: %v", err)
	}
}
