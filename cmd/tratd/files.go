package main

import (
	"errors"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/policy"
)

// loadFiles reads the configuration at path and the policy that it names, and reports the
// problems of both. Whether the policy fits the configuration can be said only of one
// without problems.
func loadFiles(path string) (*config.Config, error) {
	cfg, policyPath, err := config.Load(path)
	if err != nil {
		if policyPath == "" {
			return nil, err
		}
		_, policyErr := policy.NewSource(policyPath, policy.Parse)
		return nil, errors.Join(err, policyErr)
	}
	_, err = policy.NewSource(policyPath, policyFor(cfg))
	_, evaluators := newEvaluators(cfg, slog.New(slog.DiscardHandler))
	if err := errors.Join(err, evaluators); err != nil {
		return nil, err
	}
	return cfg, nil
}
