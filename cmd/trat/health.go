package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

const healthHelp = `health asks a server's grpc.health.v1.Health once, over SPIFFE mutual TLS: the
probe for servers that answer nobody else, where an orchestrator's own gRPC probe
cannot take part. It has the identity that the Workload API at
SPIFFE_ENDPOINT_SOCKET gives it, and talks to no server but the one it names.

Exit status: 0 the server says SERVING, 3 it says something else, 1 it says
nothing, 2 wrong use.`

const healthExample = `  trat health --address 127.0.0.1:8443 --server-id spiffe://shop.test/tts \
    --service trat.v1.TokenService`

// defaultHealthTimeout is enough for an SVID and a handshake on a busy machine.
const defaultHealthTimeout = 5 * time.Second

// healthOptions are the flags of `trat health`.
type healthOptions struct {
	address  string
	serverID string
	service  string
	timeout  time.Duration
	format   output
}

// healthAnswer is the result of `trat health`.
type healthAnswer struct {
	Service string `json:"service"`
	Status  string `json:"status"`
}

func newHealth() *cobra.Command {
	var o healthOptions
	cmd := &cobra.Command{
		Use:     "health",
		Short:   "Check the health of a server over SPIFFE mutual TLS",
		Long:    healthHelp,
		Example: healthExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runHealth(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.address, "address", "", "`address` of the server, HOST:PORT or another gRPC target (required)")
	f.StringVar(&o.serverID, "server-id", "", "SPIFFE `ID` that the server must have (required)")
	f.StringVar(&o.service, "service", "", "`name` of the service to ask for (default: the server as a whole)")
	f.DurationVar(&o.timeout, "timeout", defaultHealthTimeout, "`time` for everything, the SVID included")
	addOutput(cmd, &o.format)
	for _, name := range []string{"address", "server-id", "service", "timeout"} {
		noFiles(cmd, name)
	}
	return cmd
}

// runHealth prints the status and returns nil only if it is SERVING.
func runHealth(ctx context.Context, o healthOptions, stdout io.Writer) (err error) {
	server, err := o.check()
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	quiet := slog.New(slog.DiscardHandler) // what goes wrong comes as an error
	source, err := spiffecreds.NewSource(ctx, spiffecreds.WithLogger(quiet))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(server), spiffecreds.WithLogger(quiet))
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(o.address, grpc.WithTransportCredentials(creds))
	if err != nil {
		return usageError{fmt.Errorf("--address: %w", err)}
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: o.service})
	if err != nil {
		return fmt.Errorf("health of %q at %s: %w", o.service, o.address, err)
	}
	result := healthAnswer{Service: o.service, Status: answer.GetStatus().String()}
	err = o.format.show(stdout, result, func(w io.Writer) { fmt.Fprintln(w, result.Status) })
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return errors.Join(answerNo{fmt.Errorf("health of %q at %s: %s", o.service, o.address, answer.GetStatus())}, err)
	}
	return err
}

// check reports everything that is wrong with the flags at once.
func (o healthOptions) check() (server spiffeid.ID, err error) {
	var problems []error
	if o.address == "" {
		problems = append(problems, errors.New("--address is required"))
	}
	server, err = parseServerID(o.serverID)
	if err != nil {
		problems = append(problems, err)
	}
	if o.timeout <= 0 {
		problems = append(problems, errTimeout)
	}
	return server, errors.Join(problems...)
}
