package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

// readinessInterval is how often readiness is looked at: some of it depends on nothing
// but the time.
const readinessInterval = time.Second

// services are the names that the health service answers for.
var services = []string{"", tratv1.TokenService_ServiceDesc.ServiceName}

// registerHealth adds the health service, which says NOT_SERVING until told otherwise.
func registerHealth(r grpc.ServiceRegistrar, h *health.Server) {
	for _, name := range services {
		h.SetServingStatus(name, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	healthpb.RegisterHealthServer(r, h)
}

// watchReadiness keeps the health service's answer equal to ready until ctx ends, and
// logs each change of it and of what is known about the issuers.
//
// An issuer out of reach is no reason to be NOT_SERVING: that would take the other
// issuers, the self-signed subjects and the keys away from everybody, and hand whoever
// runs one identity provider a switch for the whole trust domain.
func (d *daemon) watchReadiness(ctx context.Context) {
	ticker := time.NewTicker(readinessInterval)
	defer ticker.Stop()
	serving, first := false, true
	reachable := false // what goes wrong in the first fetches is logged by them
	for {
		updated := d.updated() // before the look, so that no update is missed
		problem := d.ready()
		if now := problem == nil; first || now != serving {
			serving, first = now, false
			d.setServing(problem)
		}
		problem = d.issuers()
		if now := problem == nil; now != reachable {
			reachable = now
			d.reportIssuers(problem)
		}
		select {
		case <-ctx.Done():
			return
		case <-updated:
		case <-ticker.C:
		}
	}
}

// reportIssuers says whose tokens are refused for want of keys.
func (d *daemon) reportIssuers(problem error) {
	if problem != nil {
		d.logger.Warn("issuers without usable keys", "error", problem)
	} else {
		d.logger.Info("the keys of all issuers are there")
	}
}

func (d *daemon) setServing(problem error) {
	status := healthpb.HealthCheckResponse_SERVING
	if problem != nil {
		status = healthpb.HealthCheckResponse_NOT_SERVING
		d.logger.Warn("not ready", "error", problem)
	} else {
		d.logger.Info("ready")
	}
	for _, name := range services {
		d.health.SetServingStatus(name, status)
	}
}
