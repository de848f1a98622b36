package authzen

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
)

// maxConns bounds the connections to a PDP that speaks HTTP/1.1: as many as a token
// service makes exchanges at once by default.
const maxConns = 1024

// New makes a Client. It does no I/O.
func New(c Config) (*Client, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	return &Client{
		http:        outbound.New(outbound.Config{Timeout: c.Timeout, MaxConns: maxConns, TLS: c.TLS, Transport: c.Transport}),
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
	return nil
}

func checkURL(text string, loopbackHTTP bool) error {
	if text == "" {
		return errors.New("required")
	}
	err := outbound.CheckURL(text, outbound.URLRules{LoopbackHTTP: loopbackHTTP})
	if errors.Is(err, outbound.ErrLoopbackHTTP) {
		return errors.New("is plain http: InsecureLoopbackHTTP must be true for a PDP on this host")
	}
	return err
}

// checkTLS refuses to talk to anybody. InsecureSkipVerify with a verification of its own is
// how SPIFFE's configurations are made.
func checkTLS(c *tls.Config) error {
	if c.InsecureSkipVerify && c.VerifyPeerCertificate == nil && c.VerifyConnection == nil {
		return errors.New("does not verify the PDP")
	}
	return nil
}
