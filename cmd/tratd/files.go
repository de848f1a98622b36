package main

import (
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/config"
)

// loadFiles reads the configuration at path, with the policy that it names, and reports
// every problem of both.
func loadFiles(path string) (*config.Config, error) {
	cfg, err := config.Load(path, config.WithPolicy())
	if err != nil {
		return nil, err
	}
	if _, err := newEvaluators(cfg, nil, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	return cfg, nil
}
