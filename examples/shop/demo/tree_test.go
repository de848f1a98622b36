package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

const (
	server   = tracepb.Span_SPAN_KIND_SERVER
	clientOf = tracepb.Span_SPAN_KIND_CLIENT
	internal = tracepb.Span_SPAN_KIND_INTERNAL
)

// at makes a span of the trace "t" that lasts from start to end milliseconds.
func at(service string, kind tracepb.Span_SpanKind, id, parent, method string, start, end int64, attrs ...string) span {
	s := span{
		service: service, kind: kind, trace: "t", id: id, parent: parent,
		start: time.UnixMilli(start), end: time.UnixMilli(end),
		attrs: map[string]string{"rpc.method": method},
	}
	for i := 0; i < len(attrs); i += 2 {
		s.attrs[attrs[i]] = attrs[i+1]
	}
	return s
}

// ok are the attributes of a call that was accepted.
var ok = []string{"txn_token.result", "ok", "txn_token.txn", "0123456789abcdef", "txn_token.hash", "fedcba9876543210"}

// linked are the attributes of a call that was accepted with a chain.
func linked(signer, depth, mode, link, parent string) []string {
	return append(slices.Clip(ok), "txn_chain.result", "ok", "txn_chain.peer.id", "spiffe://shop.test/"+signer,
		"txn_chain.depth", depth, "txn_chain.mode", mode, "txn_chain.link.hash", link, "txn_chain.parent.hash", parent)
}

// shopSpans is the trace of an order, in the order of arrival: the innermost first.
func shopSpans() []span {
	return []span{
		at("payments", server, "p", "op", "shop.v1.PaymentsService/Charge", 40, 45, linked("orders", "1", "head", "link-p", "link-o")...),
		at("orders", clientOf, "op", "o", "shop.v1.PaymentsService/Charge", 38, 47),
		at("stocks", server, "s", "os", "shop.v1.StocksService/Reserve", 30, 35, linked("orders", "1", "path", "link-s", "link-o")...),
		at("orders", clientOf, "os", "o", "shop.v1.StocksService/Reserve", 28, 36),
		at("orders", server, "o", "go", "shop.v1.OrdersService/CreateOrder", 25, 50, linked("gateway", "0", "path", "link-o", "")...),
		at("gateway", clientOf, "go", "g", "shop.v1.OrdersService/CreateOrder", 22, 52),
		at("tratd", internal, "ti", "t", "", 11, 12),
		at("tratd", server, "t", "gt", "trat.v1.TokenService/Exchange", 10, 15, ok...),
		at("gateway", clientOf, "gt", "gi", "trat.v1.TokenService/Exchange", 9, 16),
		at("gateway", internal, "gi", "g", "", 8, 16),
		at("gateway", server, "g", "", "shop.v1.StorefrontService/PlaceOrder", 0, 60, ok[2:]...),
		{service: "gateway", kind: server, trace: "another", id: "x", attrs: map[string]string{"rpc.method": "shop.v1.StorefrontService/PlaceOrder"}},
	}
}

func TestTreeIsPrintedFromSpansInAnyOrder(t *testing.T) {
	const want = `
  call                                                time  verdict  token     chain    signed by  depth  mode  link
  gateway   StorefrontService/PlaceOrder           60.0 ms  -        fedcba98  -        -          -      -     -
  ├─ tratd     TokenService/Exchange                7.0 ms  ok       fedcba98  -        -          -      -     -
  └─ orders    OrdersService/CreateOrder           30.0 ms  ok       fedcba98  ok       gateway    0      path  link-o
     ├─ stocks    StocksService/Reserve             8.0 ms  ok       fedcba98  ok       orders     1      path  link-s
     └─ payments  PaymentsService/Charge            9.0 ms  ok       fedcba98  ok       orders     1      head  link-p
`
	spans := shopSpans()
	root, found := findRoot(spans, rootCall)
	if !found {
		t.Fatal("no root")
	}
	tree := newTree(spans, root)
	var got strings.Builder
	tree.print(&got)
	if diff := cmp.Diff(want, "\n"+got.String()); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if err := tree.check(); err != nil {
		t.Error(err)
	}
}

func TestTreeIsCompleteOnlyWithEveryCallAndItsCaller(t *testing.T) {
	want := []call{
		{"tratd", "TokenService/Exchange"},
		{"orders", "OrdersService/CreateOrder"},
		{"stocks", "StocksService/Reserve"},
		{"payments", "PaymentsService/Charge"},
	}
	if !complete(shopSpans(), rootCall, want) {
		t.Error("the whole trace is not complete")
	}
	for _, missing := range []string{"g", "t", "go", "o", "os", "s", "op", "p"} {
		var spans []span
		for _, s := range shopSpans() {
			if s.id != missing {
				spans = append(spans, s)
			}
		}
		if complete(spans, rootCall, want) {
			t.Errorf("complete without span %q", missing)
		}
	}
}

func TestTreeCheckFindsACallThatWasNotJudgedOrIsOfAnotherTransactionOrLink(t *testing.T) {
	for name, change := range map[string][2]string{
		"not judged":          {"txn_token.result", ""},
		"denied":              {"txn_token.result", "denied"},
		"another transaction": {"txn_token.txn", "ffff"},
		"another token":       {"txn_token.hash", "ffff"},
		"no token":            {"txn_token.hash", ""},
		"no chain":            {"txn_chain.result", ""},
		"no link":             {"txn_chain.link.hash", ""},
		"link of another":     {"txn_chain.peer.id", "spiffe://shop.test/stocks"},
		"another parent":      {"txn_chain.parent.hash", "link-s"},
		"another depth":       {"txn_chain.depth", "2"},
	} {
		spans := shopSpans()
		spans[0].attrs[change[0]] = change[1]
		root, _ := findRoot(spans, rootCall)
		err := newTree(spans, root).check()
		if err == nil || !strings.Contains(err.Error(), "payments") {
			t.Errorf("%s: %v, want a problem of payments", name, err)
		}
	}
}
