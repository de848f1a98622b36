package config

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
)

// PDP is a policy decision point that speaks AuthZEN.
type PDP struct {
	// Name is what policy calls it.
	Name string
	// URL is its access evaluation endpoint.
	URL string
	// Timeout bounds one question.
	Timeout time.Duration
	// BearerTokenFile is the file with the token that it wants, for ReadSecret; empty:
	// none is sent.
	BearerTokenFile string
	// CAs are whom its certificate is judged by; nil: the system's. They are read when
	// the configuration is.
	CAs *x509.CertPool
	// SVID presents this process's X.509-SVID to it.
	SVID bool
	// InsecureLoopbackHTTP also allows an http URL of this host.
	InsecureLoopbackHTTP bool
}

// pdpNames returns the names of the policy decision points.
func (c *Config) pdpNames() []string {
	names := make([]string, len(c.AccessEvaluation))
	for i, pdp := range c.AccessEvaluation {
		names[i] = pdp.Name
	}
	return names
}

// pdps checks the policy decision points.
func (c *checker) pdps(list []accessEvaluation, out *Config) {
	const field = "access_evaluation"
	if len(list) == 0 && c.lines[field] != 0 {
		c.bad(field, "is empty")
	}
	names := make(map[string]bool)
	for i, p := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		if c.text(at+".name", p.Name) {
			switch {
			case len(p.Name) > 64 || strings.Trim(p.Name, nameCharacters) != "":
				c.bad(at+".name", "want at most 64 letters, digits, '.', '_' and '-'")
			case names[p.Name]:
				c.bad(at+".name", "%q is that of another", p.Name)
			}
			names[p.Name] = true
		}
		if c.text(at+".url", p.URL) {
			c.endpoint(at, p)
		}
		timeout := p.Timeout
		if c.lines[at+".timeout"] == 0 {
			timeout = DefaultPDPTimeout
		}
		c.within(at+".timeout", timeout, time.Millisecond, time.Minute)
		if p.BearerTokenFile != "" {
			c.secretText(at+".bearer_token_file", p.BearerTokenFile)
		}
		out.AccessEvaluation = append(out.AccessEvaluation, PDP{
			Name:                 p.Name,
			URL:                  p.URL,
			Timeout:              timeout,
			BearerTokenFile:      p.BearerTokenFile,
			CAs:                  c.cas(at+".ca_file", p.CAFile),
			SVID:                 p.SVID,
			InsecureLoopbackHTTP: p.InsecureLoopbackHTTP,
		})
	}
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// endpoint checks the URL of a PDP, and what is said of the connection to it.
func (c *checker) endpoint(at string, p accessEvaluation) {
	err := outbound.CheckURL(p.URL, outbound.URLRules{LoopbackHTTP: p.InsecureLoopbackHTTP})
	switch plain := !strings.HasPrefix(strings.ToLower(p.URL), "https:"); {
	case errors.Is(err, outbound.ErrLoopbackHTTP):
		c.bad(at+".insecure_loopback_http", "must be true for a PDP that is plain http on this host")
	case err != nil:
		c.bad(at+".url", "%v", err)
	case plain && p.CAFile != "":
		c.bad(at+".ca_file", "is for https: plain http has no certificate")
	case plain && p.SVID:
		c.bad(at+".svid", "is for https: plain http takes no certificate")
	}
}

// cas reads the certificates of certificate authorities; nil if path is empty.
func (c *checker) cas(field, path string) *x509.CertPool {
	if path == "" || c.files.certificates == nil {
		return nil
	}
	text, err := c.files.certificates(path)
	if err != nil {
		c.bad(field, "%v", err)
		return nil
	}
	pool, err := parseCAs(text)
	if err != nil {
		c.bad(field, "%v", err)
		return nil
	}
	return pool
}

var errNoCAs = errors.New("want certificates in PEM, and nothing else")

// parseCAs reads all of text: what a pool passed over would be missed only when it is
// needed.
func parseCAs(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for rest := bytes.TrimSpace(text); len(rest) > 0 || pool.Equal(x509.NewCertPool()); rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, errNoCAs
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errNoCAs
		}
		pool.AddCert(certificate)
	}
	return pool, nil
}
