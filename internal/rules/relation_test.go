package rules

import (
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
)

func memberOf(tb testing.TB, raw string) trat.Value {
	tb.Helper()
	return trat.NewPaths([]string{"m"}).AppendValues(nil, mustObject(tb, `{"m":`+raw+`}`))[0]
}
