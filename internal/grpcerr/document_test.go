package grpcerr_test

import (
	"os"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Whoever is refused an exchange finds the reason in the table.
func TestOperationsExplainsEveryReasonOfAnExchange(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\nIn an exchange, by `tratd`")
	table, _, ended := strings.Cut(rest, "\nWithout a reason,")
	if !found || !ended {
		t.Fatal("docs/operations.md does not have the table of the reasons of an exchange")
	}
	var first strings.Builder // column
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 1 {
			first.WriteString(cells[1])
		}
	}
	for _, reason := range declaredReasons(t) {
		met := grpcerr.OAuth(reason) != grpcerr.OAuth(trat.ReasonPolicyDenied) || reason == trat.ReasonInternal
		if explained := strings.Contains(first.String(), "`"+string(reason)+"`"); explained != met {
			t.Errorf("%s: an exchange can be refused with it: %t; docs/operations.md explains it: %t", reason, met, explained)
		}
	}
}
