package server_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
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

// BenchmarkReplacement is the same for a replacement with a receipt: the first time that
// its links are seen, and again.
func BenchmarkReplacement(b *testing.B) {
	for _, links := range []int{1, 6} {
		for _, again := range []bool{false, true} {
			b.Run(fmt.Sprintf("links=%d/again=%t", links, again), func(b *testing.B) {
				f := newFixture(b, func(c *server.Config) {
					c.Auditor = auditlog.NewLog(slog.New(slog.NewJSONHandler(discard{}, nil)))
					c.RequestsPerSecond, c.Burst = 1e6, 1e9 // within the life of one token
				})
				path := slices.Repeat([]spiffeid.ID{gateway, desk}, links)[:links+1]
				path[links] = tax
				token := f.Verify(b, f.Issue(b, gateway, goodRequest()))
				ctx := f.as(b, tax)
				request := servertest.Replace(token.UnsafeRaw())
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i == 0 || !again {
						b.StopTimer()
						request.CallChain = f.Calls().Received(b, token, callchain.ModePath, nil, path...).Receipt()
						b.StartTimer()
					}
					if _, err := f.Server.Exchange(ctx, request); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// discard is a log sink that is written to: slog knows io.Discard and skips it.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
