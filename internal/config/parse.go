package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// file is the document as it is written. Only the decoder fills it.
type file struct {
	Version       int           `yaml:"version"`
	Listen        string        `yaml:"listen"`
	TrustDomain   string        `yaml:"trust_domain"`
	Issuer        string        `yaml:"issuer"`
	SPIFFEID      string        `yaml:"spiffe_id"`
	Policy        string        `yaml:"policy"`
	SubjectTokens subjectTokens `yaml:"subject_tokens"`
	Limits        limits        `yaml:"limits"`
	Log           logging       `yaml:"log"`
}

type subjectTokens struct {
	Issuers      []issuer    `yaml:"issuers"`
	SelfSigned   *selfSigned `yaml:"self_signed"`
	UnsignedJSON bool        `yaml:"unsigned_json"`
}

type issuer struct {
	Issuer               string        `yaml:"issuer"`
	Prefix               string        `yaml:"prefix"`
	Audience             string        `yaml:"audience"`
	ClientID             string        `yaml:"client_id"`
	Algorithms           []string      `yaml:"algorithms"`
	Skew                 time.Duration `yaml:"skew"`
	OAuthMetadata        bool          `yaml:"oauth_metadata"`
	InsecureLoopbackHTTP bool          `yaml:"insecure_loopback_http"`
}

type selfSigned struct {
	ReplayStore string `yaml:"replay_store"`
	ReplayLimit int    `yaml:"replay_limit"`
}

type limits struct {
	MaxConnections  int           `yaml:"max_connections"`
	MaxStreams      int           `yaml:"max_streams"`
	MaxWatchers     int           `yaml:"max_watchers"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
}

type logging struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Parse reads a configuration. On failure the error joins every *Problem.
func Parse(text []byte) (*Config, error) {
	c, err := parse(text)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// parse is Parse that also returns, beside an error, what could be read.
func parse(text []byte) (*Config, error) {
	d := &decoder{lines: make(map[string]int)}
	f := file{
		Limits: limits{
			MaxConnections:  DefaultMaxConnections,
			MaxStreams:      DefaultMaxStreams,
			MaxWatchers:     DefaultMaxWatchers,
			ShutdownTimeout: DefaultShutdownTimeout,
		},
		Log: logging{Level: "info", Format: "json"},
	}
	d.document(text, &f)
	if d.unread { // that keys are missing is not the problem then
		return &Config{}, d.err()
	}
	c := newChecker(d).config(f)
	return c, d.err()
}

// checker turns what is written into what is meant.
type checker struct {
	*decoder
	unreadable map[string]bool // fields whose value the decoder refused
}

func newChecker(d *decoder) *checker {
	c := &checker{decoder: d, unreadable: make(map[string]bool)}
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
		UnsignedJSON: f.SubjectTokens.UnsignedJSON,
		Limits:       Limits(f.Limits),
	}
	c.listen(f.Listen)
	c.text("policy", f.Policy)
	c.identity(f, out)
	c.issuers(f.SubjectTokens.Issuers, out)
	c.selfSigned(f.SubjectTokens.SelfSigned, out)
	for _, limit := range []struct {
		field string
		value int
	}{
		{"limits.max_connections", f.Limits.MaxConnections},
		{"limits.max_streams", f.Limits.MaxStreams},
		{"limits.max_watchers", f.Limits.MaxWatchers},
	} {
		if limit.value < 1 || limit.value > 1_000_000 {
			c.bad(limit.field, "want 1 to 1000000")
		}
	}
	if f.Limits.ShutdownTimeout < 0 || f.Limits.ShutdownTimeout > time.Hour {
		c.bad("limits.shutdown_timeout", "want 0s to 1h")
	}
	c.logging(f.Log, out)
	return out
}

func (c *checker) listen(address string) {
	if !c.text("listen", address) {
		return
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		c.bad("listen", "is not host:port")
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil { // 0 is any free port
		c.bad("listen", "%q is not a port", port)
	}
}

func (c *checker) identity(f file, out *Config) {
	var err error
	if c.text("trust_domain", f.TrustDomain) {
		if out.TrustDomain, err = spiffeid.TrustDomainFromString(f.TrustDomain); err != nil || out.TrustDomain.Name() != f.TrustDomain {
			c.bad("trust_domain", "is not the name of a trust domain")
		}
	}
	if c.text("issuer", f.Issuer) {
		// Judged as verifiers will, beside a trust domain that is not in question here.
		if none, err := trat.NewStaticKeySet(); err != nil {
			c.bad("issuer", "%v", err)
		} else if _, err := trat.NewVerifier("trust-domain", f.Issuer, none, trat.WithCacheSize(0)); err != nil {
			c.bad("issuer", "want an https URL without user, query and fragment")
		}
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

func (c *checker) issuers(list []issuer, out *Config) {
	const field = "subject_tokens.issuers"
	if len(list) == 0 {
		if c.lines[field] != 0 {
			c.bad(field, "is empty")
		}
		return
	}
	for n, i := range list {
		c.unset(fmt.Sprintf("%s[%d]", field, n), i)
		algorithms := make([]trat.Algorithm, len(i.Algorithms))
		for k, name := range i.Algorithms {
			algorithms[k] = trat.Algorithm(name)
		}
		out.Issuers = append(out.Issuers, subject.IssuerConfig{
			Issuer:               i.Issuer,
			Prefix:               i.Prefix,
			Audience:             i.Audience,
			ClientID:             i.ClientID,
			Algorithms:           algorithms,
			Skew:                 i.Skew,
			OAuthMetadata:        i.OAuthMetadata,
			InsecureLoopbackHTTP: i.InsecureLoopbackHTTP,
		})
	}
	// The rules of issuers are theirs.
	if _, err := subject.NewIssuers(subject.IssuersConfig{Issuers: out.Issuers}); err != nil {
		for _, err := range unjoin(err) {
			problem, ok := errors.AsType[*subject.IssuerProblem](err)
			if !ok {
				c.bad(field, "%v", err)
				continue
			}
			c.bad(fmt.Sprintf("%s[%d].%s", field, problem.Index, issuerKey(problem.Field)), "%v", problem.Err)
		}
	}
}

// issuerKey returns the key that sets a field of subject.IssuerConfig: type issuer has
// the same fields.
func issuerKey(name string) string {
	field, _ := reflect.TypeFor[issuer]().FieldByName(name)
	return field.Tag.Get("yaml")
}

// unset refuses what is written and yet means the default, which is looser: whoever writes
// no skew or no algorithms wants none.
func (c *checker) unset(field string, i issuer) {
	if c.lines[field+".skew"] != 0 && i.Skew == 0 {
		c.bad(field+".skew", "want more than 0s; leave it away for %s", subject.DefaultSkew)
	}
	if c.lines[field+".algorithms"] != 0 && len(i.Algorithms) == 0 {
		c.bad(field+".algorithms", "is empty; leave it away for all that are known")
	}
}

// unjoin undoes errors.Join.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

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
	out.SelfSigned = &SelfSigned{ReplayLimit: limit}
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
