package config

import (
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// files reads the files that a configuration names, by their paths as written. Those of
// which a kind has no function are taken to be good, and the Config lacks them.
type files struct {
	secret, certificates, descriptors func(path string) ([]byte, error)
}

// parse reads a configuration. Beside an error, which joins every *Problem, it returns what
// could be read.
func parse(text []byte, named files) (*Config, error) {
	d := &decoder{lines: make(map[string]int)}
	f := defaults()
	d.document(text, &f)
	if d.unread { // that keys are missing is not the problem then
		return &Config{}, d.err()
	}
	c := newChecker(d, named).config(f)
	return c, d.err()
}

// checker turns what is written into what is meant.
type checker struct {
	*decoder
	files      files
	unreadable map[string]bool // fields whose value the decoder refused
}

func newChecker(d *decoder, named files) *checker {
	c := &checker{decoder: d, files: named, unreadable: make(map[string]bool)}
	for _, field := range d.fields() {
		c.unreadable[field] = true
	}
	return c
}

// bad adds a problem of a key, in its line or, if it is not there, in that of the mapping
// where it is missing. Of a value that could not be read enough has been said.
func (c *checker) bad(field, format string, args ...any) {
	if c.unreadable[field] {
		return
	}
	line := c.lines[field]
	for parent := field; line == 0; line = c.lines[parent] {
		dot := strings.LastIndexByte(parent, '.')
		if dot < 0 {
			break
		}
		parent = parent[:dot]
	}
	c.add(line, field, format, args...)
}

// text checks that a required text is there. One that is there but empty, or of
// another type, was reported by the decoder.
func (c *checker) text(field, value string) bool {
	if value != "" {
		return true
	}
	if c.lines[field] == 0 {
		c.bad(field, "is required")
	}
	return false
}

func (c *checker) config(f file) *Config {
	if f.Version != 1 {
		c.bad("version", "want 1")
	}
	out := &Config{
		Listen:       f.Listen,
		Issuer:       f.Issuer,
		Policy:       f.Policy,
		PolicyReload: f.PolicyReload,
		UnsignedJSON: f.SubjectTokens.UnsignedJSON,
		TxnToken:     f.SubjectTokens.TxnToken,
		Limits:       Limits(f.Limits),
	}
	c.address("listen", f.Listen)
	c.text("policy", f.Policy)
	c.within("policy_reload", f.PolicyReload, time.Second, time.Hour)
	c.descriptors(f.Descriptors, out)
	c.identity(f, out)
	c.http(f.HTTP, out)
	c.issuers(f.SubjectTokens.Issuers, out)
	c.selfSigned(f.SubjectTokens.SelfSigned, out)
	c.pdps(f.AccessEvaluation, out)
	c.audit(f.Audit, out)
	c.limits(f.Limits)
	c.logging(f.Log, out)
	return out
}

// address checks a required address to listen at.
func (c *checker) address(field, address string) {
	if !c.text(field, address) {
		return
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		c.bad(field, "is not host:port")
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil { // 0 is any free port
		c.bad(field, "%q is not a port", port)
	}
}

// within checks a duration that has a default.
func (c *checker) within(field string, value, low, high time.Duration) {
	if value < low || value > high {
		c.bad(field, "want %s to %s", low, high)
	}
}

func (c *checker) limits(l limits) {
	for _, limit := range []struct {
		field string
		value int
	}{
		{"limits.max_connections", l.MaxConnections},
		{"limits.max_streams", l.MaxStreams},
		{"limits.max_watchers", l.MaxWatchers},
		{"limits.burst", l.Burst},
		{"limits.max_exchanges", l.MaxExchanges},
	} {
		if limit.value < 1 || limit.value > 1_000_000 {
			c.bad(limit.field, "want 1 to 1000000")
		}
	}
	if !(l.RequestsPerSecond > 0 && l.RequestsPerSecond <= 1_000_000) { // so that NaN is none
		c.bad("limits.requests_per_second", "want more than 0, at most 1000000")
	}
	c.within("limits.shutdown_timeout", l.ShutdownTimeout, 0, time.Hour)
}

func (c *checker) identity(f file, out *Config) {
	var err error
	if c.text("trust_domain", f.TrustDomain) {
		if out.TrustDomain, err = spiffeid.TrustDomainFromString(f.TrustDomain); err != nil || out.TrustDomain.Name() != f.TrustDomain {
			c.bad("trust_domain", "is not the name of a trust domain")
		}
	}
	if c.text("issuer", f.Issuer) {
		c.issuerURL("issuer", f.Issuer)
	}
	if c.text("spiffe_id", f.SPIFFEID) {
		out.ID, err = spiffeid.FromString(f.SPIFFEID)
		switch {
		case err != nil:
			c.bad("spiffe_id", "is not a SPIFFE ID")
		case out.ID.Path() == "":
			c.bad("spiffe_id", "has no path")
		case !out.TrustDomain.IsZero() && !out.ID.MemberOf(out.TrustDomain):
			c.bad("spiffe_id", "is not in trust_domain")
		}
	}
}

// issuerURL checks a URL that can be the issuer of tokens.
func (c *checker) issuerURL(field, url string) {
	if trat.CheckIssuer(url) != nil {
		c.bad(field, "want an https URL without user, query and fragment")
	}
}

// jwtSVIDUses are the values of jwt_svid.
var jwtSVIDUses = map[string]subject.JWTSVIDUse{"": 0, "off": 0, "once": subject.OneUse, "reusable": subject.Reusable}

func (c *checker) selfSigned(s *selfSigned, out *Config) {
	const field = "subject_tokens.self_signed"
	if s == nil {
		return
	}
	if c.text(field+".replay_store", s.ReplayStore) && s.ReplayStore != "memory" {
		c.bad(field+".replay_store", "want memory, the only one there is")
	}
	limit := s.ReplayLimit
	if c.lines[field+".replay_limit"] == 0 {
		limit = DefaultReplayLimit
	}
	if limit < 1 || limit > 10_000_000 {
		c.bad(field+".replay_limit", "want 1 to 10000000")
	}
	use, ok := jwtSVIDUses[s.JWTSVID]
	if !ok {
		c.bad(field+".jwt_svid", "want off, once or reusable")
	}
	out.SelfSigned = &SelfSigned{ReplayLimit: limit, JWTSVID: use}
}

func (c *checker) logging(l logging, out *Config) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[l.Level]
	if !ok {
		c.bad("log.level", "want debug, info, warn or error")
	}
	if l.Format != "json" && l.Format != "text" {
		c.bad("log.format", "want json or text")
	}
	out.Log = Log{Level: level, JSON: l.Format == "json"}
}
