package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	maxHeaderListSize = 16 << 10 // bytes
	// A key set has at most 64 KiB (trat.ParseJWKS), a TraT 4 KiB.
	maxReceiveSize = 80 << 10

	minConnectTimeout = 5 * time.Second
	// The token service speaks every 30 seconds, so a ping goes out only when it
	// has fallen silent.
	keepaliveTime    = 45 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// serviceConfig bounds an Exchange whose caller set no deadline, and sends one again that
// met a token service out of reach: at most twice more, and seldom when that happens often.
// Every request has a request_id, so that the one which did get through is not a second
// transaction. A refusal is never sent again.
const serviceConfig = `{
	"methodConfig": [{
		"name": [{"service": "trat.v1.TokenService", "method": "Exchange"}],
		"timeout": "10s",
		"retryPolicy": {
			"maxAttempts": 3,
			"initialBackoff": "0.1s",
			"maxBackoff": "1s",
			"backoffMultiplier": 3,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}],
	"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

// Client is a workload's connection to its token service. It is safe for
// concurrent use. Close it when the workload ends.
type Client struct {
	cfg       Config
	clock     trat.Clock
	log       *slog.Logger
	conn      *grpc.ClientConn
	transport *transport
	rpc       tratv1.TokenServiceClient
	keys      *keySet
	verifier  *trat.Verifier
	metrics   *keyMetrics
	watcher   *watcher
	keyWait   time.Duration

	stop   context.CancelFunc
	closed chan struct{} // closed when the watch has ended
	close  func() error  // once
}

// New returns a Client and starts to watch the token service's keys. It reports
// every problem of cfg and opts at once, as *trat.Error values joined
// (PARAMETER_MISSING, PARAMETER_INVALID; Field names the field or option). It does
// not wait for the network: see WaitReady.
func New(cfg Config, opts ...Option) (*Client, error) {
	o, problems := newOptions(opts)
	problems = append(problems, cfg.validate())
	keys := newKeySet(cfg.Issuer, o.clock)
	verifier, err := trat.NewVerifier(cfg.TrustDomain.Name(), cfg.Issuer, keys,
		append([]trat.VerifierOption{trat.WithClock(o.clock)}, o.verifier...)...)
	if err := errors.Join(append(problems, cfg.verifierProblems(err)...)...); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	transport, err := newTransport(cfg, o.clock)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	conn, err := dial(cfg, transport, o)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	metrics, err := newKeyMetrics(o.meters, keys)
	if err != nil {
		return nil, fmt.Errorf("client: %w", errors.Join(err, conn.Close()))
	}

	rpc := tratv1.NewTokenServiceClient(conn)
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{
		cfg:       cfg,
		clock:     o.clock,
		log:       o.log,
		conn:      conn,
		transport: transport,
		rpc:       rpc,
		keys:      keys,
		verifier:  verifier,
		metrics:   metrics,
		watcher: &watcher{
			rpc: rpc, conn: conn, keys: keys, clock: o.clock, metrics: metrics, silence: o.silence,
			log: o.log.With(slog.String("target", cfg.Target), slog.String("server_id", cfg.ServerID.String())),
		},
		keyWait: o.keyWait,
		stop:    stop,
		closed:  make(chan struct{}),
	}
	c.close = sync.OnceValue(c.shutdown)
	go func() {
		defer close(c.closed)
		c.watcher.run(ctx)
	}()
	return c, nil
}

// dial makes the connection; it connects with the first call.
func dial(cfg Config, transport *transport, o *options) (*grpc.ClientConn, error) {
	opts := slices.Concat(o.dial, []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(pin{server: cfg.ServerID, clock: o.clock}),
		// A resolver must not reconfigure this client (SEC-04).
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithMaxHeaderListSize(maxHeaderListSize),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceiveSize)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: grpcbackoff.Config{
				BaseDelay:  firstBackoff,
				Multiplier: backoffFactor,
				Jitter:     backoffJitter,
				MaxDelay:   maxBackoff,
			},
			MinConnectTimeout: minConnectTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithStatsHandler(rpcTelemetry(o)),
	})
	return grpc.NewClient(cfg.Target, opts...)
}

// Verifier verifies TraTs of the configured issuer and trust domain with the keys
// that were heard last. It works from the start and refuses every token with
// KEYS_UNAVAILABLE while there is no usable key set.
func (c *Client) Verifier() *trat.Verifier { return c.verifier }

// KeySet returns the watched keys. It takes no lock and never fetches: an unknown
// key is TXN_TOKEN_INVALID, an absent or stale set KEYS_UNAVAILABLE.
func (c *Client) KeySet() trat.KeySet { return c.keys }

// Ready reports why tokens cannot be verified now (KEYS_UNAVAILABLE), nil when they
// can. An empty key set is a decision of the token service, not a fault.
func (c *Client) Ready() error {
	if _, err := c.keys.usable(); err != nil {
		return fmt.Errorf("client: %w", c.watcher.explain(err))
	}
	return nil
}

// WaitReady waits until Ready reports nil, and reports what Ready does, with ctx's
// error, when ctx ends first or the Client is closed. It reports at once a token service
// that names another issuer than Config.Issuer: waiting seldom helps there.
func (c *Client) WaitReady(ctx context.Context) error {
	for {
		next := c.keys.next()
		err := c.Ready()
		if err == nil {
			return nil
		}
		if _, wrong := errors.AsType[*issuerError](err); wrong {
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return c.notReady(err, ctx.Err())
		case <-c.closed:
			return c.notReady(err, errClosed)
		}
	}
}

// notReady is the error of a wait that began with err and that end has ended: with what
// the watch has run into since.
func (c *Client) notReady(err, end error) error {
	if now := c.Ready(); now != nil {
		err = now
	}
	return fmt.Errorf("%w: %w", err, end)
}

var errClosed = errors.New("client closed")

// Close ends the watch and the connection, waits for both, and fails calls in
// flight. The last key set stays readable until its maximum age. Calling it again
// returns the same result.
func (c *Client) Close() error { return c.close() }

func (c *Client) shutdown() error {
	c.stop()
	err := c.conn.Close()
	<-c.closed
	return errors.Join(err, c.metrics.close())
}
