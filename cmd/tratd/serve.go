package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/health"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// flushTimeout bounds the last export of telemetry.
const flushTimeout = 5 * time.Second

// parts are what the front ends are made with.
type parts struct {
	cfg         *config.Config
	logger      *slog.Logger
	providers   *telemetry.Providers
	svids       x509svid.Source
	connections *connections
}

// serve runs the token service until ctx ends. Whatever it starts has ended when it
// returns.
func serve(ctx context.Context, cfg *config.Config, stderr io.Writer) (err error) {
	logger := telemetry.NewLogger(stderr, cfg.Log.Level, formatOf(cfg))
	telemetry.LogErrors(logger)
	providers, err := telemetry.Setup(ctx, telemetry.Service{Name: "tratd", Version: buildVersion()})
	if err != nil {
		return err
	}
	defer flush(ctx, providers, logger)

	policies, err := newPolicies(cfg, logger, providers.Meter)
	if err != nil {
		return err
	}
	auditor, closeAuditor, err := newAuditor(cfg, stderr, logger, providers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAuditor()) }()

	source, err := spiffecreds.NewSource(ctx, spiffecreds.WithLogger(logger))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := checkIdentity(source, cfg.ID); err != nil {
		return err
	}
	evaluators, err := newEvaluators(cfg, source, logger)
	if err != nil {
		return err
	}
	jwts, closeJWTs, err := jwtBundles(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeJWTs()) }()
	on, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer on.close()
	// Now, and not before: from here on the key counts as published.
	ring, err := keys.New(keys.Config{})
	if err != nil {
		return err
	}
	subjects, err := newSubjects(cfg, jwts, ring, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, subjects.Close()) }()
	tokens, err := server.New(server.Config{
		TrustDomain:       cfg.TrustDomain,
		Issuer:            cfg.Issuer,
		Keys:              ring,
		Policy:            policies.Policy,
		Subjects:          subjects,
		Evaluators:        evaluators,
		Bundles:           source,
		Auditor:           auditor,
		Logger:            logger,
		MaxWatchers:       cfg.Limits.MaxWatchers,
		RequestsPerSecond: cfg.Limits.RequestsPerSecond,
		Burst:             cfg.Limits.Burst,
		MaxConcurrent:     cfg.Limits.MaxExchanges,
		PseudonymKey:      cfg.Audit.PseudonymKey.Bytes(),
		PseudonymPeriod:   cfg.Audit.PseudonymPeriod,
		MeterProvider:     providers.Meter,
	})
	if err != nil {
		return err
	}
	p := &parts{cfg: cfg, logger: logger, providers: providers, svids: source, connections: newConnections(cfg.Limits.MaxConnections, logger)}
	d := &daemon{
		tokens: tokens,
		health: health.NewServer(),
		logger: logger,
		ready: func() error {
			_, err := ring.Signer()
			return errors.Join(source.Ready(), checkIdentity(source, cfg.ID), err)
		},
		updated: source.Updated,
		follow:  []func(context.Context){policies.Run, onHangup(reload(policies, logger))},
	}
	d.details = []detail{{detailIssuers, subjects.Ready, d.reportIssuers}, {detailPolicy, policies.Problem, nil}}
	if err := d.addFrontEnds(p, source, ring); err != nil {
		return err
	}
	subjects.Start() //nolint:contextcheck // its fetches end with Close, which is deferred
	return d.run(ctx, on, cfg.Limits.ShutdownTimeout)
}

// addFrontEnds makes the servers of gRPC and, if it is on, HTTP.
func (d *daemon) addFrontEnds(p *parts, source *spiffecreds.Source, ring *keys.Ring) error {
	members := spiffeid.MatchMemberOf(p.cfg.TrustDomain)
	creds, err := spiffecreds.NewServer(source, source, members, spiffecreds.WithLogger(p.logger))
	if err != nil {
		return err
	}
	d.grpc = p.newGRPCServer(creds)
	if p.cfg.HTTP == nil {
		return nil
	}
	creds, err = spiffecreds.NewServer(source, source, members, spiffecreds.WithLogger(p.logger), spiffecreds.WithHTTP1())
	if err != nil {
		return err
	}
	d.http, err = p.newHTTPServer(creds, d.tokens, ring)
	return err
}

// listen opens the addresses of the configuration.
func listen(ctx context.Context, cfg *config.Config) (on listeners, err error) {
	var network net.ListenConfig
	if on.grpc, err = network.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return on, err
	}
	if cfg.HTTP == nil {
		return on, nil
	}
	if on.http, err = network.Listen(ctx, "tcp", cfg.HTTP.Listen); err != nil {
		on.close()
		return on, err
	}
	return on, nil
}

// close lets go of the addresses, if nobody has yet.
func (l listeners) close() {
	_ = l.grpc.Close()
	if l.http != nil {
		_ = l.http.Close()
	}
}

// reload looks at the policy file without waiting for the next look.
func reload(policies *policy.Source, logger *slog.Logger) func() {
	return func() {
		logger.Info("SIGHUP: looking at the policy file")
		_ = policies.Reload() // what comes of it is logged by the source
	}
}

// flush sends what telemetry is still pending, also when ctx has ended. A collector that
// is away is no reason to fail.
func flush(ctx context.Context, providers *telemetry.Providers, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := providers.Shutdown(ctx); err != nil {
		logger.Warn("the last telemetry is lost", "error", err)
	}
}

// checkIdentity refuses to be somebody else than configured: clients pin the ID, and
// an SVID that was registered for another workload must not issue tokens.
func checkIdentity(source *spiffecreds.Source, want spiffeid.ID) error {
	got, err := source.ID()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the Workload API says that this process is %q, the configuration's spiffe_id is %q", got, want)
	}
	return nil
}
