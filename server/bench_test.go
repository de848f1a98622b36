package server_test

import (
	"log/slog"
	"testing"

	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

// BenchmarkExchange is a decision without transport and without subject verification:
// what is left beside the signature.
func BenchmarkExchange(b *testing.B) {
	f := newFixture(b, func(c *server.Config) {
		c.Auditor = auditlog.NewLog(slog.New(slog.NewJSONHandler(discard{}, nil)))
	})
	ctx, request := f.as(b, gateway), goodRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.server.Exchange(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a log sink that is written to: slog knows io.Discard and skips it.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
