package config

import "net"

// HTTP is the HTTP token endpoint.
type HTTP struct {
	// Listen is the TCP address to serve at, "host:port".
	Listen string
	// BaseURL is where clients find it: an https URL without query and fragment.
	BaseURL string
}

// http checks the HTTP token endpoint.
func (c *checker) http(h *httpFront, out *Config) {
	if h == nil {
		return
	}
	c.address("http.listen", h.Listen)
	if _, port, err := net.SplitHostPort(h.Listen); err == nil && port != "0" && h.Listen == out.Listen {
		c.bad("http.listen", "is that of the gRPC service: each needs an address of its own")
	}
	base := h.BaseURL
	if base == "" {
		base = out.Issuer // checked as such
	} else {
		c.issuerURL("http.base_url", base)
	}
	out.HTTP = &HTTP{Listen: h.Listen, BaseURL: base}
}
