package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/grpc-trat/grpc-trat/trat"
)

func TestRefusalsAreCountedByServiceAndReason(t *testing.T) {
	spans := append(shopSpans(),
		at("orders", server, "1", "", "m", 0, 1, "txn_token.result", "denied", "error.type", "PEER_DENIED"),
		at("orders", server, "2", "", "m", 0, 1, "txn_token.result", "denied", "error.type", "PEER_DENIED"),
		at("gateway", clientOf, "3", "", "m", 0, 1, "txn_token.result", "error", "error.type", "EGRESS_BLOCKED"),
		at("tratd", server, "4", "", "m", 0, 1, "txn_token.result", "error", "error.type", "INTERNAL"))
	want := map[verdict]int{
		refusal("orders", trat.ReasonPeerDenied): 2,
		refusal("tratd", trat.ReasonInternal):    1,
	}
	got := refusals(spans)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if err := compareRefusals(want, got); err != nil {
		t.Error(err)
	}
	want[refusal("orders", trat.ReasonPeerDenied)] = 1
	want[refusal("payments", trat.ReasonPeerDenied)] = 1
	err := compareRefusals(want, got)
	if err == nil || !strings.Contains(err.Error(), "orders refused 2") || !strings.Contains(err.Error(), "payments refused 0") {
		t.Errorf("error %v, want one that names orders and payments", err)
	}
}

func TestVerdictSaysWhatOutsidersAreTold(t *testing.T) {
	v := refusal("tratd", trat.ReasonScopeExceeded)
	if got := v.String(); got != "SCOPE_EXCEEDED" {
		t.Error(got)
	}
	if got := v.told(codes.PermissionDenied).String(); got != "SCOPE_EXCEEDED (PermissionDenied)" {
		t.Error(got)
	}
}
