package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel/metric"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server/policy"
)

// newPolicies reads the policy file. What becomes of later versions of it is logged and
// counted.
func newPolicies(cfg *config.Config, logger *slog.Logger, meters metric.MeterProvider) (*policy.Source, error) {
	meter := meters.Meter(semconv.ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	reloads, err := semconv.PolicyReloads.Int64Counter(meter)
	if err != nil {
		return nil, err
	}
	source, err := policy.NewSource(cfg.Policy, cfg.ParsePolicy, policy.WithInterval(cfg.PolicyReload),
		policy.OnReload(func(version string, err error) {
			result := semconv.ResultOK
			if err == nil {
				logger.Info("policy in force", policyVersion(version))
			} else {
				result = semconv.ResultError
				logger.Error("policy file is bad: the policy before it stays in force", policyVersion(version), "error", err)
			}
			reloads.Add(context.Background(), 1, metric.WithAttributes(semconv.TokenResult.String(result)))
		}))
	if err != nil {
		return nil, err
	}
	_, err = semconv.PolicyStale.Float64ObservableGauge(meter, func(_ context.Context, o metric.Float64Observer) error {
		stale := 0.0
		if source.Problem() != nil {
			stale = 1
		}
		o.Observe(stale)
		return nil
	})
	if err != nil {
		return nil, err
	}
	logger.Info("policy in force", policyVersion(source.Policy().Version()))
	return source, nil
}

func policyVersion(version string) slog.Attr {
	return slog.String(string(semconv.TokenPolicyVersion), version)
}

// onHangup calls reload for each SIGHUP until ctx ends. It is installed when onHangup
// returns the function that does so: before that, the signal ends the process.
func onHangup(reload func()) (run func(ctx context.Context)) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	return func(ctx context.Context) {
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				reload()
			}
		}
	}
}
