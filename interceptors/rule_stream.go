package interceptors

import (
	"errors"
	"fmt"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat"
)

// StreamOpenOnly leaves a stream open when its TraT expires: the TraT counted when the
// stream was opened. Calls that the handler makes later fail all the same, and so does a
// stream of one request whose request comes later. It is the default for methods of which
// only the server streams and that are not named Watch….
//
// What is said about streams under the key of a unary method is a coverage error; under a
// wildcard key it is for the methods that stream.
func (r Rule) StreamOpenOnly() Rule { return r.withExpiry(rules.ExpiryOpenOnly, 0) }

// StreamCloseAtExp closes a stream when its TraT expires, with TXN_TOKEN_EXPIRED. It is
// the default for all streams but those of StreamOpenOnly.
func (r Rule) StreamCloseAtExp() Rule { return r.withExpiry(rules.ExpiryCloseAtExp, 0) }

// StreamGrace closes a stream that long after its TraT has expired, with
// TXN_TOKEN_EXPIRED; more than nothing and at most trat.MaxLifetime.
func (r Rule) StreamGrace(d time.Duration) Rule {
	if d <= 0 || d > trat.MaxLifetime {
		r = r.problem(fmt.Errorf("StreamGrace: %v is not above 0 and at most %v", d, trat.MaxLifetime))
	}
	return r.withExpiry(rules.ExpiryGrace, d)
}

func (r Rule) withExpiry(expiry rules.Expiry, grace time.Duration) Rule {
	if said := r.data.Stream; said.Expiry != 0 && (said.Expiry != expiry || said.Grace != grace) {
		r = r.problem(errors.New("StreamOpenOnly, StreamCloseAtExp and StreamGrace exclude each other"))
	}
	r.data.Stream.Expiry, r.data.Stream.Grace = expiry, grace
	return r
}

// StreamMaxAge bounds how long a stream may be open, whatever its TraT. The default is no
// bound.
func (r Rule) StreamMaxAge(d time.Duration) Rule {
	if d <= 0 {
		r = r.problem(fmt.Errorf("StreamMaxAge: %v is not above 0", d))
	}
	r.data.Stream.MaxAge = d
	return r
}

// StreamDrain tells the handler that long before the end of its stream, so that it can
// end the stream itself. The default is not to.
func (r Rule) StreamDrain(d time.Duration) Rule {
	if d <= 0 {
		r = r.problem(fmt.Errorf("StreamDrain: %v is not above 0", d))
	}
	r.data.Stream.Drain = d
	return r
}
