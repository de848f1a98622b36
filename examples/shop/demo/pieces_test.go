package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// pathOf is a chain of three links, as it goes with a call of stocks.
func pathOf(t *testing.T) string {
	t.Helper()
	d := trattest.New(t, "shop.test")
	token := d.Token(trattest.Requester(d.ID("gateway").String()))
	return d.RawChain(token, []string{"gateway", "orders", "scheduler"}, "stocks", "/shop.v1.StocksService/Reserve")
}

func TestChainTakenApartAndPutTogetherIsTheSame(t *testing.T) {
	encoded := pathOf(t)
	p, err := takeApart(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.full) != 2 || len(p.certificates) != 2 || !strings.Contains(string(p.full[1]), "/orders") {
		t.Errorf("%d links and %d certificates", len(p.full), len(p.certificates))
	}
	if p.String() != encoded {
		t.Error("another chain")
	}
	for _, bad := range []string{"", "?", "Eg", encoded[:100]} {
		if _, err := takeApart(bad); err == nil {
			t.Errorf("%q was taken apart", bad)
		}
	}
}

func TestCompleteChainsAreSeenInLogs(t *testing.T) {
	encoded := pathOf(t)
	for text, want := range map[string]bool{
		`{"txn-chain":"` + encoded + `"}`: true,
		encoded:                           true,
		"txn_chain.link.hash=3DdMzO39EQb3k1mQ0000000000000000000000000": false,
		`"receipt":"Ew` + encoded[2:] + `"`:                             false,
	} {
		if got := secretPattern.MatchString(text); got != want {
			t.Errorf("%.40s...: seen %t", text, got)
		}
	}
}

func TestLinkBeforeOthersLeavesItsTraceIDToTheLast(t *testing.T) {
	identity := strings.Repeat("i", linkIdentity-1)
	whole := append([]byte{flagTrace}, identity+strings.Repeat("t", traceID)+"span and the rest"...)
	want := append([]byte{flagTrace | flagSameTrace}, identity+"span and the rest"...)
	if got := beforeOthers(whole); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if without := []byte{0, 1, 2}; !bytes.Equal(beforeOthers(without), without) {
		t.Error("a link without a trace was changed")
	}
}
