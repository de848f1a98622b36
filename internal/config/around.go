package config

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// http checks the HTTP token endpoint.
func (c *checker) http(h *httpFront, out *Config) {
	if h == nil {
		return
	}
	c.address("http.listen", h.Listen)
	base := h.BaseURL
	if base == "" {
		base = out.Issuer // checked as such
	} else {
		c.issuerURL("http.base_url", base)
	}
	out.HTTP = &HTTP{Listen: h.Listen, BaseURL: base}
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
			InsecureLoopbackHTTP: p.InsecureLoopbackHTTP,
		})
	}
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// endpoint checks the URL of a PDP.
func (c *checker) endpoint(at string, p accessEvaluation) {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(p.URL, "#"):
		c.bad(at+".url", "want an https URL without user, query and fragment")
	case u.Scheme == "https":
	case u.Scheme != "http" || !isLoopback(u.Hostname()):
		c.bad(at+".url", "is not https")
	case !p.InsecureLoopbackHTTP:
		c.bad(at+".insecure_loopback_http", "must be true for a PDP that is plain http on this host")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// audit checks where audit records go.
func (c *checker) audit(a audit, out *Config) {
	c.within("audit.pseudonym_period", a.PseudonymPeriod, time.Hour, 366*24*time.Hour)
	out.Audit = Audit{
		File:            a.File,
		ChainKey:        c.key("audit.chain_key_file", a.ChainKeyFile),
		OTLP:            a.OTLP,
		PseudonymKey:    c.key("audit.pseudonym_key_file", a.PseudonymKeyFile),
		PseudonymPeriod: a.PseudonymPeriod,
	}
	if a.File == StandardError && a.ChainKeyFile != "" {
		c.bad("audit.chain_key_file", "is for a file: records on standard error are not chained")
	}
}
