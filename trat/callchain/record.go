package callchain

import (
	"context"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Record is what a server has decided about one call. No token and no link is in what a
// Recorder writes of it: the token's claims stay out but for txn, req_wl, iat and chn.
type Record struct {
	// Time is when the call was judged, by the server's clock.
	Time time.Time
	// Server is the workload that judged, Peer the one at the other end of the connection.
	Server, Peer spiffeid.ID
	// Method is the full method that was called, "/pkg.Service/Method".
	Method string
	// Mode is what the method requires of the chain.
	Mode Mode
	// Token is the verified TraT of the call; nil when there was none.
	Token *trat.Token
	// Chain is the verified chain, also of a call that was refused for something else; nil
	// when none was verified.
	Chain *Chain
	// Encoded is the SHA-256 of the value of MetadataKey; zero when there was none. It tells
	// two attempts with the same bytes.
	Encoded [32]byte
	// Result is the txn_chain.result of the call: "ok", "missing", "link_invalid" ...
	Result string
	// Reason is why the call was refused; empty when its handler ran.
	Reason trat.Reason
	// Received is the trace id and the span id of the caller as the traceparent of the call
	// had them; zero without one.
	Received Trace
	// Span is the server's own span of the call; zero without one.
	Span Trace
}

// Recorder keeps records. Record never makes a call wait: what it cannot take it loses, and
// says so where the records are. Safe for concurrent use. Package chainlog has one.
type Recorder interface {
	Record(ctx context.Context, r Record)
}
