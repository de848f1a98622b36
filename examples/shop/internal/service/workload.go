package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Workload is a running service: its own identity, and its view of the token
// service.
type Workload struct {
	// Source is this workload's X.509-SVID and the trust bundle, kept current.
	Source *spiffecreds.Source
	// Tokens is the token service: Exchange, and the keys that verify its tokens.
	Tokens *client.Client

	cfg     Config
	carrier *interceptors.Client
}

// startTimeout bounds the wait for the identity and the keys; a service that does not
// get them is better started anew, where that is seen.
const startTimeout = 30 * time.Second

// Start waits for this workload's identity and for the token service's keys.
func Start(ctx context.Context, cfg Config) (_ *Workload, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	w := &Workload{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	// Reads SPIFFE_ENDPOINT_SOCKET, and fails when it is not set.
	if w.Source, err = spiffecreds.NewSource(ctx, spiffecreds.WithLogger(slog.Default())); err != nil {
		return nil, err
	}
	if w.Tokens, err = client.New(client.Config{
		Target:      cfg.TokenService.Address,
		ServerID:    cfg.TokenService.ID,
		Issuer:      cfg.Issuer,
		TrustDomain: cfg.TrustDomain,
		SVIDs:       w.Source,
		Bundles:     w.Source,
	}, client.WithLogger(slog.Default())); err != nil {
		return nil, err
	}
	// One signer for the process: under load, links of all connections share signatures.
	signer, err := callchain.NewSigner(w.Source)
	if err != nil {
		return nil, err
	}
	if w.carrier, err = interceptors.NewClient(interceptors.ClientConfig{
		TrustDomain: cfg.TrustDomain,
		SVIDs:       w.Source,
	}, interceptors.WithLinkSigner(signer)); err != nil {
		return nil, err
	}
	if err = w.Tokens.WaitReady(ctx); err != nil {
		return nil, fmt.Errorf("token service %s: %w", cfg.TokenService.Address, err)
	}
	return w, nil
}

// Close ends what Start began.
func (w *Workload) Close() error {
	var err error
	if w.Tokens != nil {
		err = w.Tokens.Close()
	}
	if w.Source != nil {
		err = errors.Join(err, w.Source.Close())
	}
	return err
}

// Dial connects to another workload. The carrier hands the transaction's token on
// with each call, to exactly the workload that p names, and with it the call chain,
// which it continues by a link of its own.
func (w *Workload) Dial(p Peer) (*grpc.ClientConn, error) {
	creds, err := spiffecreds.NewClient(w.Source, w.Source, spiffeid.MatchID(p.ID))
	if err != nil {
		return nil, err
	}
	opts := append(w.carrier.DialOptions(),
		grpc.WithTransportCredentials(creds),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
	return grpc.NewClient(p.Address, opts...)
}

// Ready reports why this workload cannot serve, nil when it can: its X.509-SVID is
// current and it has fresh keys.
func (w *Workload) Ready() error {
	return errors.Join(w.Source.Ready(), w.Tokens.Ready())
}
