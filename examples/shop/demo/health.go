package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// healthy waits until the server at address, which must be the workload id, says that
// it is ready. It asks as the workload asker.
func (s *shop) healthy(ctx context.Context, asker spiffeid.ID, address string, id spiffeid.ID) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	source, err := s.takeOver(ctx, asker)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(id))
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	for err == nil {
		var state *healthpb.HealthCheckResponse
		if state, err = watch.Recv(); state.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return nil
		}
	}
	return fmt.Errorf("%s is not healthy: %w", id, err)
}
