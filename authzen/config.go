package authzen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxIdle is how many connections are kept for the next evaluations: about as many as
	// evaluations are under way at once, or each burst begins with handshakes. A PDP that
	// speaks HTTP/2 gets one.
	maxIdle = 64
	// idleTimeout is after how long without use a connection is closed.
	idleTimeout = 30 * time.Second
	// maxResponseHeader is the largest response header, in bytes.
	maxResponseHeader = 16 << 10
)

// New makes a Client. It does no I/O.
func New(c Config) (*Client, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	return &Client{
		http: &http.Client{
			Transport: c.Transport,
			// A redirected question would go to a place that nobody configured.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		url:         c.URL,
		timeout:     c.Timeout,
		maxResponse: c.MaxResponse,
		token:       c.BearerToken,
		logger:      c.Logger,
	}, nil
}

// complete fills the defaults in and returns every problem.
func (c *Config) complete() error {
	var problems []error
	add := func(field string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("authzen: %s: %w", field, err))
		}
	}
	add("URL", checkURL(c.URL, c.InsecureLoopbackHTTP))
	if c.Logger == nil {
		add("Logger", errors.New("required"))
	}
	if c.Timeout < 0 {
		add("Timeout", errors.New("negative"))
	}
	if c.MaxResponse < 0 {
		add("MaxResponse", errors.New("negative"))
	}
	if c.TLS != nil {
		add("TLS", checkTLS(c.TLS))
		if c.Transport != nil {
			add("TLS", errors.New("has no effect on Transport: set one of them"))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxResponse == 0 {
		c.MaxResponse = DefaultMaxResponse
	}
	if c.Transport == nil {
		c.Transport = newTransport(c.TLS)
	}
	return nil
}

func checkURL(text string, loopbackHTTP bool) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("required")
	case err != nil:
		return errors.New("not a URL") // the cause would quote it, and what is in it by mistake
	case u.Host == "" || u.Opaque != "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("has a user: use BearerToken")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("has a query or a fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http" || !isLoopback(u.Hostname()):
		return errors.New("is not https")
	case !loopbackHTTP:
		return errors.New("is plain http: InsecureLoopbackHTTP must be true for a PDP on this host")
	default:
		return nil
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkTLS refuses to talk to anybody. InsecureSkipVerify with a verification of its own is
// how SPIFFE's configurations are made.
func checkTLS(c *tls.Config) error {
	if c.InsecureSkipVerify && c.VerifyPeerCertificate == nil && c.VerifyConnection == nil {
		return errors.New("does not verify the PDP")
	}
	return nil
}

func newTransport(config *tls.Config) *http.Transport {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{}).DialContext,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
	}
}
