package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

// readinessInterval is how often readiness is looked at: some of it depends on nothing
// but the time.
const readinessInterval = time.Second

// services are the names that the health service answers for with the readiness of the
// whole.
var services = []string{"", tratv1.TokenService_ServiceDesc.ServiceName}

// detail is a part of readiness that does not decide about the whole: the health service
// answers for it under a name of its own.
type detail struct {
	name   string
	check  func() error        // nil while all is well; it may begin with a problem
	report func(problem error) // called at each change, and first when all is well; nil: nobody
}

// Names of details.
const (
	detailIssuers = "issuers"
	detailPolicy  = "policy"
)

// service is what the health service calls the detail.
func (d detail) service() string { return tratv1.TokenService_ServiceDesc.ServiceName + "/" + d.name }

// registerHealth adds the health service, which says NOT_SERVING until told otherwise.
func (d *daemon) registerHealth(r grpc.ServiceRegistrar) {
	for _, name := range services {
		d.health.SetServingStatus(name, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	for _, part := range d.details {
		d.health.SetServingStatus(part.service(), healthpb.HealthCheckResponse_NOT_SERVING)
	}
	healthpb.RegisterHealthServer(r, d.health)
}

// watchReadiness keeps the health service's answers equal to ready and to the details
// until ctx ends, and logs each change.
//
// An issuer out of reach is no reason to be NOT_SERVING: that would take the other
// issuers, the self-signed subjects and the keys away from everybody, and hand whoever
// runs one identity provider a switch for the whole trust domain. Nor is a policy file
// that is bad, while the policy before it is in force. Both are details.
func (d *daemon) watchReadiness(ctx context.Context) {
	ticker := time.NewTicker(readinessInterval)
	defer ticker.Stop()
	serving, first := false, true
	well := make([]bool, len(d.details))
	for {
		updated := d.updated() // before the look, so that no update is missed
		problem := d.ready()
		if now := problem == nil; first || now != serving {
			serving, first = now, false
			d.setServing(problem)
		}
		for i, part := range d.details {
			problem := part.check()
			if now := problem == nil; now != well[i] {
				well[i] = now
				d.setDetail(part, problem)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-updated:
		case <-ticker.C:
		}
	}
}

// reportIssuers says whose tokens are refused for want of keys. What goes wrong in the
// first fetches is logged by them.
func (d *daemon) reportIssuers(problem error) {
	if problem != nil {
		d.logger.Warn("issuers without usable keys", "error", problem)
	} else {
		d.logger.Info("the keys of all issuers are there")
	}
}

func (d *daemon) setDetail(part detail, problem error) {
	d.health.SetServingStatus(part.service(), statusOf(problem))
	if part.report != nil {
		part.report(problem)
	}
}

func (d *daemon) setServing(problem error) {
	if problem != nil {
		d.logger.Warn("not ready", "error", problem)
	} else {
		d.logger.Info("ready")
	}
	for _, name := range services {
		d.health.SetServingStatus(name, statusOf(problem))
	}
}

func statusOf(problem error) healthpb.HealthCheckResponse_ServingStatus {
	if problem != nil {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}
