package authzen

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
)

const (
	// DefaultTimeout bounds one evaluation, connection set-up and answer included.
	DefaultTimeout = 500 * time.Millisecond
	// DefaultMaxResponse is the largest answer, in bytes.
	DefaultMaxResponse = 64 << 10
)

// Config is what a Client is made of. New reports all problems of it at once.
type Config struct {
	// URL is the PDP's access evaluation endpoint, https and without query, fragment or
	// user, such as https://pdp.example/access/v1/evaluation. Required.
	URL string
	// Logger gets one line per evaluation, level DEBUG, with the request id that the PDP
	// was given. Required.
	Logger *slog.Logger

	// TLS is how the client identifies itself and judges the PDP; default the system's
	// roots and no client certificate. At least TLS 1.2 is spoken. A configuration
	// that does not verify the PDP is refused.
	TLS *tls.Config
	// Transport is used instead of the client's own; TLS must then be nil. Its limits and
	// its verification of the PDP are its own business.
	Transport http.RoundTripper
	// Timeout bounds one evaluation, as the deadline of its context does; default
	// DefaultTimeout.
	Timeout time.Duration
	// MaxResponse is the largest answer, in bytes; default DefaultMaxResponse. One that is
	// compressed is refused.
	MaxResponse int64
	// BearerToken returns what to authenticate with (RFC 6750) and is asked for each
	// evaluation, so that a token that was rotated is used at once. Its error becomes part
	// of that of the evaluation. Nil: no Authorization header.
	BearerToken func(context.Context) (string, error)
	// InsecureLoopbackHTTP also allows an http URL, if its host is the loopback interface.
	// For development and tests.
	InsecureLoopbackHTTP bool
}

// Client asks one PDP. It keeps connections open between evaluations and holds no lock
// during one. Safe for concurrent use.
type Client struct {
	http        *outbound.Client
	url         string
	timeout     time.Duration
	maxResponse int64
	token       func(context.Context) (string, error)
	logger      *slog.Logger
}

// Close closes the connections that are kept for the next evaluation, but for those of
// Config.Transport. Those under way end as they would.
func (c *Client) Close() { c.http.Close() }
