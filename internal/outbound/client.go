// Package outbound asks other services over HTTPS, which may be broken or hostile: every
// exchange ends in time, every answer is bounded, and nothing of an answer is in an error.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"
)

const (
	// maxHeader is the largest header of an answer, in bytes.
	maxHeader = 32 << 10
	// maxIdle is how many connections to one host are kept for the next exchanges: about
	// as many as are under way at once, or each burst begins with handshakes.
	maxIdle = 64
	// idleTimeout is after how long without use a connection is closed.
	idleTimeout = 30 * time.Second
)

// Config is what a Client is made of. Timeout and MaxConns are required.
type Config struct {
	// Timeout bounds one exchange, from the connection to the last byte, as the deadline of
	// its context does.
	Timeout time.Duration
	// MaxConns bounds the connections to one host. Exchanges beyond wait, which counts
	// against their Timeout.
	MaxConns int
	// TLS is how the client identifies itself and judges whom it asks; nil means the
	// system's roots and no client certificate. At least TLS 1.2 is spoken.
	TLS *tls.Config
	// Transport is used in place of one of our own. MaxConns, TLS and the bound of an
	// answer's header are its own business then.
	Transport http.RoundTripper
}

// Client makes exchanges. It follows no redirect, keeps no cookie and asks for no
// compression. Safe for concurrent use.
type Client struct {
	http    *http.Client
	own     *http.Transport // nil if it was given
	timeout time.Duration
}

// New returns a client. It does no I/O. A Timeout or MaxConns that is not positive is a
// mistake of the program, and a panic.
func New(c Config) *Client {
	if c.Timeout <= 0 || c.MaxConns <= 0 {
		panic("outbound: an exchange without bounds")
	}
	client := &Client{timeout: c.Timeout}
	if c.Transport == nil {
		client.own = c.transport()
		c.Transport = client.own
	}
	client.http = &http.Client{
		Transport: c.Transport,
		// A redirected question would go to a place that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client
}

func (c Config) transport() *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config = c.TLS.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// A connection outlives the exchange that it is made for, and is bounded itself.
		DialContext:            (&net.Dialer{Timeout: c.Timeout}).DialContext,
		TLSHandshakeTimeout:    c.Timeout,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        c.MaxConns,
		MaxIdleConnsPerHost:    min(maxIdle, c.MaxConns),
		IdleConnTimeout:        idleTimeout,
	}
}

// Close closes the connections that are kept for the next exchange, if the transport is
// the client's own. Those under way end as they would.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Expect says which answers are wanted. Both fields are required.
type Expect struct {
	// MaxBody is the longest body, in bytes.
	MaxBody int64
	// Type returns nil for a media type that is wanted, which it gets in lower case and
	// without parameters. Its error must not quote it.
	Type func(media string) error
}

// IsJSON is an Expect.Type that wants application/json.
func IsJSON(media string) error {
	if media != "application/json" {
		return ErrNotJSON
	}
	return nil
}

// ErrNotJSON says that an answer is not JSON by its Content-Type.
var ErrNotJSON = errors.New("not JSON by its Content-Type")

// Do makes one exchange and returns the body of an answer with status 200. The request's
// header may get more members. Every error is an *Error.
func (c *Client) Do(req *http.Request, want Expect) ([]byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), c.timeout)
	defer cancel()
	req = req.WithContext(ctx)
	// Neither the transport nor who answers is to compress: what is read is what came.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := c.http.Do(req) //nolint:gosec // whom to ask is configuration, or was held to CheckURL
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer resp.Body.Close()
	// Who is asked may see the client leave and end its answer there, as if it were whole:
	// what comes when the time is over is no answer.
	if err := ctx.Err(); err != nil {
		return nil, unreachable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		// A bounded rest is read, so that the connection can be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, want.MaxBody)
		return nil, &Error{Kind: KindStatus, Status: resp.StatusCode, Err: fmt.Errorf("status %d", resp.StatusCode)}
	}
	if err := want.check(resp.Header); err != nil {
		return nil, &Error{Kind: KindType, Err: err}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, want.MaxBody+1))
	if err == nil {
		err = ctx.Err()
	}
	switch {
	case err != nil:
		return nil, unreachable(ctx, err)
	case int64(len(body)) > want.MaxBody:
		return nil, &Error{Kind: KindTooLong, Err: fmt.Errorf("longer than %d bytes", want.MaxBody)}
	}
	return body, nil
}

func (e Expect) check(header http.Header) error {
	if encoding := header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return errors.New("compressed, which was not asked for")
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		media = "" // the cause quotes it
	}
	return e.Type(media)
}
