package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// defaultTimeout is enough for an SVID, a handshake and an answer on a busy machine.
const defaultTimeout = 10 * time.Second

// serviceOptions are the flags that name a token service.
type serviceOptions struct {
	address     string
	serverID    string
	trustDomain string
	issuer      string
	timeout     time.Duration
}

// add adds the flags to a command; required goes behind what those of address and ID are
// for.
func (o *serviceOptions) add(cmd *cobra.Command, required string) {
	f := cmd.Flags()
	f.StringVar(&o.address, "address", "", "`address` of the token service, HOST:PORT or another gRPC target"+required)
	f.StringVar(&o.serverID, "server-id", "", "SPIFFE `ID` that the token service must have"+required)
	f.StringVar(&o.issuer, "issuer", "", "`URL` that is iss of the tokens (required)")
	f.StringVar(&o.trustDomain, "trust-domain", "", "trust `domain` that is aud of the tokens (default: that of --server-id)")
	f.DurationVar(&o.timeout, "timeout", defaultTimeout, "`time` for everything, the SVID included")
	for _, name := range []string{"address", "server-id", "issuer", "trust-domain", "timeout"} {
		noFiles(cmd, name)
	}
}

// noFiles keeps a shell from offering files for a flag.
func noFiles(cmd *cobra.Command, flag string) { complete(cmd, flag) }

// config checks the flags. The sources are still missing.
func (o *serviceOptions) config() (client.Config, []error) {
	var problems []error
	cfg := client.Config{Target: o.address, Issuer: o.issuer}
	if o.address == "" {
		problems = append(problems, errors.New("--address is required"))
	}
	if o.issuer == "" {
		problems = append(problems, errors.New("--issuer is required"))
	}
	var err error
	cfg.ServerID, err = parseServerID(o.serverID)
	if err != nil {
		problems = append(problems, err)
	}
	cfg.TrustDomain = cfg.ServerID.TrustDomain()
	if o.trustDomain != "" {
		if cfg.TrustDomain, err = spiffeid.TrustDomainFromString(o.trustDomain); err != nil {
			problems = append(problems, fmt.Errorf("--trust-domain: %w", err))
		}
	}
	if o.timeout <= 0 {
		problems = append(problems, errTimeout)
	}
	return cfg, problems
}

var errTimeout = errors.New("--timeout must be positive")

// parseServerID reads --server-id.
func parseServerID(text string) (spiffeid.ID, error) {
	id, err := spiffeid.FromString(text)
	switch {
	case text == "":
		return spiffeid.ID{}, errors.New("--server-id is required")
	case err != nil || id.Path() == "":
		return spiffeid.ID{}, fmt.Errorf("--server-id: want a SPIFFE ID such as spiffe://shop.test/tts, not %q", text)
	}
	return id, nil
}

// withClient calls do with a client of the token service, as the workload that this
// process is.
func withClient(ctx context.Context, cfg client.Config, do func(*client.Client) error) (err error) {
	quiet := slog.New(slog.DiscardHandler) // what goes wrong comes as an error
	source, err := spiffecreds.NewSource(ctx, spiffecreds.WithLogger(quiet))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	cfg.SVIDs, cfg.Bundles = source, source
	c, err := client.New(cfg, client.WithLogger(quiet))
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return do(c)
}
