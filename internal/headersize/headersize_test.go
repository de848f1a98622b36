package headersize_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/internal/headersize"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestMetadataIsCountedAsItIsSent(t *testing.T) {
	md := metadata.MD{"a": {"xy", ""}, "b-bin": {"\x00\x01\x02\x03"}} // in base64: 6 characters
	if got, want := headersize.Metadata(md), (1+2+32)+(1+0+32)+(5+6+32); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}

const method = "/shop.v1.Stocks/Reserve"

// broken is a source without an SVID.
type broken struct{}

func (broken) GetX509SVID() (*x509svid.SVID, error) { return nil, errors.New("none") }

// Covers REPL-06.
func TestFullIsAtTheLimitOfLinksOrOfBytes(t *testing.T) {
	d := trattest.New(t, "shop.test")
	path := []string{"gateway", "a", "b", "c", "d", "e"}
	for name, tc := range map[string]struct {
		through []string
		md      metadata.MD
		want    bool
	}{
		"no chain":                 {nil, metadata.Pairs("note", strings.Repeat("x", 8000)), false},
		"one link":                 {path[:1], nil, false},
		"room for one more":        {path[:5], nil, false},
		"no room":                  {path, nil, true},
		"too many bytes":           {path[:1], metadata.Pairs("note", strings.Repeat("x", 6000)), true},
		"too many in base64":       {path[:1], metadata.Pairs("note-bin", strings.Repeat("x", 4500)), true},
		"the same bytes, of text":  {path[:1], metadata.Pairs("note", strings.Repeat("x", 4500)), false},
		"a trace that was counted": {path[:1], metadata.Pairs("traceparent", strings.Repeat("x", 55)), false},
	} {
		ctx := metadata.NewOutgoingContext(t.Context(), tc.md)
		token := d.Token()
		var chain *callchain.Chain
		if len(tc.through) > 0 {
			ctx = d.ChainContext(ctx, tc.through, "orders", method)
			token, _ = trat.FromContext(ctx)
			chain, _ = callchain.FromContext(ctx)
		}
		for source, svids := range map[string]x509svid.Source{"svid": d.Source("orders"), "none": broken{}} {
			if got := headersize.Full(ctx, token, chain, svids); got != tc.want {
				t.Errorf("%s (%s): %t, want %t", name, source, got, tc.want)
			}
		}
	}
}

// What comes later has its room: with it taken, the answer is the same.
func TestFullAllowsForWhatTracingAdds(t *testing.T) {
	d := trattest.New(t, "shop.test")
	ctx := d.ChainContext(t.Context(), []string{"gateway"}, "orders", method)
	token, _ := trat.FromContext(ctx)
	chain, _ := callchain.FromContext(ctx)
	limit := func(ctx context.Context, later ...string) int {
		size := 0
		for !headersize.Full(metadata.AppendToOutgoingContext(ctx, append(later, "note", strings.Repeat("x", size))...), token, chain, d.Source("orders")) {
			size++
		}
		return size
	}
	without, with := limit(ctx), limit(ctx, "traceparent", strings.Repeat("x", 55))
	if without != with || without < 4000 {
		t.Errorf("room for %d bytes before, %d after", without, with)
	}
}
