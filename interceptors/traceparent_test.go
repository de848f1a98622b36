package interceptors

import (
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

func TestMatchTrace(t *testing.T) {
	span := callchain.Trace{
		TraceID: [16]byte{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36},
		SpanID:  [8]byte{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
	}
	const received = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, tc := range map[string]struct {
		received []string
		signed   callchain.Trace
		want     traceMatch
	}{
		"equal":                       {[]string{received}, span, traceMatches},
		"not sampled, equal":          {[]string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}, span, traceMatches},
		"the first of two":            {[]string{received, "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01"}, span, traceMatches},
		"another span":                {[]string{"00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01"}, span, traceDiffers},
		"another trace":               {[]string{"00-11111111111111111111111111111111-00f067aa0ba902b7-01"}, span, traceDiffers},
		"nothing received":            {nil, span, traceDiffers},
		"nonsense received":           {[]string{"00-xyz"}, span, traceDiffers},
		"nothing signed":              {[]string{received}, callchain.Trace{}, traceDiffers},
		"neither":                     {nil, callchain.Trace{}, traceAbsent},
		"nonsense and nothing signed": {[]string{"", "00"}, callchain.Trace{}, traceAbsent},
		"zero ids, which are invalid": {[]string{"00-00000000000000000000000000000000-0000000000000000-01"}, callchain.Trace{}, traceAbsent},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{"traceparent": tc.received})
			if got := matchTrace(receivedTrace(ctx), tc.signed); got != tc.want {
				t.Errorf("match = %d, want %d", got, tc.want)
			}
		})
	}
}
