package config

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
	base := h.BaseURL
	if base == "" {
		base = out.Issuer // checked as such
	} else {
		c.issuerURL("http.base_url", base)
	}
	out.HTTP = &HTTP{Listen: h.Listen, BaseURL: base}
}
