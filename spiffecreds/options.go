package spiffecreds

import (
	"errors"
	"log/slog"
	"time"
)

const (
	// DefaultHandshakeTimeout is how long a server waits for a client to complete the
	// TLS handshake.
	DefaultHandshakeTimeout = 10 * time.Second
	// DefaultMaxHandshakes is how many handshakes a server has under way at most.
	DefaultMaxHandshakes = 256
	// DefaultStartTimeout is how long NewSource waits for the first SVID when its
	// context has no deadline.
	DefaultStartTimeout = 30 * time.Second
)

// CredentialsOption adjusts NewServer and NewClient.
type CredentialsOption interface{ applyCredentials(*credentialsConfig) }

// SourceOption adjusts NewSource.
type SourceOption interface{ applySource(*sourceConfig) }

// Option adjusts NewServer, NewClient and NewSource.
type Option interface {
	CredentialsOption
	SourceOption
}

var errNilOption = errors.New("nil option")

type credentialsConfig struct {
	now              func() time.Time
	logger           *slog.Logger
	handshakeTimeout time.Duration
	maxHandshakes    int
	protocol         string // of ALPN
}

func defaultCredentialsConfig() credentialsConfig {
	return credentialsConfig{
		now: time.Now, logger: slog.Default(), protocol: alpnHTTP2,
		handshakeTimeout: DefaultHandshakeTimeout, maxHandshakes: DefaultMaxHandshakes,
	}
}

func (c credentialsConfig) problems() (problems []error) {
	if c.now == nil {
		problems = append(problems, errors.New("WithClock: no clock"))
	}
	if c.logger == nil {
		problems = append(problems, errors.New("WithLogger: no logger"))
	}
	if c.handshakeTimeout <= 0 {
		problems = append(problems, errors.New("WithHandshakeTimeout: must be positive"))
	}
	if c.maxHandshakes <= 0 {
		problems = append(problems, errors.New("WithMaxHandshakes: must be positive"))
	}
	return problems
}

type sourceConfig struct {
	now          func() time.Time
	logger       *slog.Logger
	address      string
	addressSet   bool
	startTimeout time.Duration // 0: DefaultStartTimeout if the context has no deadline
	timeoutSet   bool
}

func defaultSourceConfig() sourceConfig {
	return sourceConfig{now: time.Now, logger: slog.Default()}
}

func (c sourceConfig) problems() (problems []error) {
	if c.now == nil {
		problems = append(problems, errors.New("WithClock: no clock"))
	}
	if c.logger == nil {
		problems = append(problems, errors.New("WithLogger: no logger"))
	}
	if c.timeoutSet && c.startTimeout <= 0 {
		problems = append(problems, errors.New("WithStartTimeout: must be positive"))
	}
	return problems
}

type clockOption func() time.Time

func (o clockOption) applyCredentials(c *credentialsConfig) { c.now = o }
func (o clockOption) applySource(c *sourceConfig)           { c.now = o }

// WithClock sets the clock that certificate validity is judged by; the default is
// time.Now. It must be safe for concurrent use.
func WithClock(now func() time.Time) Option { return clockOption(now) }

type loggerOption struct{ logger *slog.Logger }

func (o loggerOption) applyCredentials(c *credentialsConfig) { c.logger = o.logger }
func (o loggerOption) applySource(c *sourceConfig)           { c.logger = o.logger }

// WithLogger sets where a server's credentials log the handshakes they refused (at
// most one line per second; the peer itself is told nothing but a TLS alert), and a Source
// the loss and return of the Workload API. The default is slog.Default.
func WithLogger(logger *slog.Logger) Option { return loggerOption{logger} }

type handshakeTimeoutOption time.Duration

func (o handshakeTimeoutOption) applyCredentials(c *credentialsConfig) {
	c.handshakeTimeout = time.Duration(o)
}

// WithHandshakeTimeout bounds a server's handshakes; the default is
// DefaultHandshakeTimeout. A client's handshakes are bounded by gRPC's connect deadline.
func WithHandshakeTimeout(d time.Duration) CredentialsOption { return handshakeTimeoutOption(d) }

type maxHandshakesOption int

func (o maxHandshakesOption) applyCredentials(c *credentialsConfig) { c.maxHandshakes = int(o) }

// WithMaxHandshakes bounds the handshakes that a server has under way, over all servers
// that use the credentials; the default is DefaultMaxHandshakes. Anybody who reaches the
// port can begin one, and needs no certificate for it. One more than n closes the
// connection of the oldest, so that slow strangers take neither file descriptors from the
// process nor the place of workloads.
func WithMaxHandshakes(n int) CredentialsOption { return maxHandshakesOption(n) }

type http1Option struct{}

func (http1Option) applyCredentials(c *credentialsConfig) { c.protocol = alpnHTTP1 }

// WithHTTP1 makes credentials for connections that speak HTTP/1.1 in place of gRPC, and
// differ in nothing else. The protocol is required by ALPN as "h2" is without it: a
// connection that was meant for one of the two cannot be turned to the other.
func WithHTTP1() CredentialsOption { return http1Option{} }

type addressOption string

func (o addressOption) applySource(c *sourceConfig) { c.address, c.addressSet = string(o), true }

// WithAddress sets the address of the Workload API, "unix:///path" or "tcp://ip:port";
// the default is the value of the environment variable SPIFFE_ENDPOINT_SOCKET.
func WithAddress(addr string) SourceOption { return addressOption(addr) }

type startTimeoutOption time.Duration

func (o startTimeoutOption) applySource(c *sourceConfig) {
	c.startTimeout, c.timeoutSet = time.Duration(o), true
}

// WithStartTimeout bounds how long NewSource waits for the first SVID, also when the
// context has a later deadline.
func WithStartTimeout(d time.Duration) SourceOption { return startTimeoutOption(d) }
