package httptoken

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Defaults of ServerConfig.
const (
	DefaultReadTimeout  = 5 * time.Second
	DefaultWriteTimeout = 30 * time.Second
	DefaultIdleTimeout  = time.Minute
	// DefaultMaxConnectionAge is short because nothing is known here about how long SVIDs
	// live.
	DefaultMaxConnectionAge = time.Minute
	DefaultAgeGrace         = 15 * time.Second
)

// maxHeaderBytes is what gRPC may send as metadata.
const maxHeaderBytes = 16 << 10

// ServerConfig is what a Server is made of. NewServer reports all problems of it at once.
type ServerConfig struct {
	// Credentials make the connections. They come from spiffecreds.NewServer with
	// spiffecreds.WithHTTP1, which bounds handshakes in time and in number, and bound how
	// many connections one workload may have. Required.
	Credentials credentials.TransportCredentials
	// Handler is what New returned. Required.
	Handler http.Handler
	// Logger gets what is wrong with the listener. Required.
	Logger *slog.Logger

	// ReadTimeout bounds the reading of one request, header and body; default
	// DefaultReadTimeout.
	ReadTimeout time.Duration
	// WriteTimeout bounds all of a request but its header: longer than ReadTimeout and
	// Config.RequestTimeout together. Default DefaultWriteTimeout.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request; default
	// DefaultIdleTimeout.
	IdleTimeout time.Duration
	// MaxConnectionAge is when a connection is asked to end with its next answer. It
	// belongs below the lifetime of SVIDs. Default DefaultMaxConnectionAge.
	MaxConnectionAge time.Duration
	// AgeGrace is how long after MaxConnectionAge it is closed, whatever it does; default
	// DefaultAgeGrace.
	AgeGrace time.Duration
}

// complete fills the defaults in and returns every problem.
func (c *ServerConfig) complete() error {
	var problems []error
	required := func(name string, ok bool) {
		if !ok {
			problems = append(problems, fmt.Errorf("%s is required", name))
		}
	}
	required("Credentials", c.Credentials != nil)
	required("Handler", c.Handler != nil)
	required("Logger", c.Logger != nil)
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{
		{"ReadTimeout", &c.ReadTimeout, DefaultReadTimeout},
		{"WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout},
		{"IdleTimeout", &c.IdleTimeout, DefaultIdleTimeout},
		{"MaxConnectionAge", &c.MaxConnectionAge, DefaultMaxConnectionAge},
		{"AgeGrace", &c.AgeGrace, DefaultAgeGrace},
	} {
		if *d.value < 0 {
			problems = append(problems, fmt.Errorf("%s %s is negative", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	return errors.Join(problems...)
}

// Server serves a handler over connections with a verified peer, and over no others.
// Make one with NewServer. Safe for concurrent use.
type Server struct {
	config ServerConfig
	http   *http.Server
}

// NewServer makes a Server. It does no I/O and starts no goroutine; the error names every
// problem of cfg.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("httptoken: server: %w", err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &Server{config: cfg, http: &http.Server{
		Handler:                      cfg.Handler,
		DisableGeneralOptionsHandler: true,
		ReadTimeout:                  cfg.ReadTimeout,
		ReadHeaderTimeout:            cfg.ReadTimeout,
		WriteTimeout:                 cfg.WriteTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		Protocols:                    &protocols,
		ConnContext:                  withPeer,
		// What it has to say is about single connections, and may quote what they sent.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}}, nil
}

// Serve accepts connections until Shutdown, after which it returns nil, or until l fails.
// It closes l, and no handshake is under way when it returns.
func (s *Server) Serve(l net.Listener) error {
	secure := listen(l, s.config)
	defer secure.wait()
	if err := s.http.Serve(secure); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown accepts no more, lets the requests under way finish until ctx ends, and then
// closes their connections. The error is that of ctx if it ended first.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

type connKey struct{}

// withPeer gives the requests of a connection the peer that its handshake found, where
// spiffecreds.PeerFromContext looks for it. A connection that had no handshake here has
// none.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	secured, ok := c.(*conn)
	if !ok {
		return ctx
	}
	ctx = context.WithValue(ctx, connKey{}, secured)
	return peer.NewContext(ctx, &peer.Peer{
		Addr:      secured.RemoteAddr(),
		LocalAddr: secured.LocalAddr(),
		AuthInfo:  secured.info,
	})
}

// isOld reports whether the connection of the request should end.
func isOld(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*conn)
	return ok && c.old.Load()
}
