package server_test

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

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
	for i := 0; b.Loop(); i++ {
		request.RequestId = strconv.Itoa(i) // a new request each time, and not a repeated one
		f.Clock.Advance(time.Millisecond)   // as fast as the limit allows
		if _, err := f.Server.Exchange(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a log sink that is written to: slog knows io.Discard and skips it.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
