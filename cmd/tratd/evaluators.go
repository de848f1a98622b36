package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server"
)

// newEvaluators makes a client of each policy decision point, by the name that policy has
// for it.
func newEvaluators(cfg *config.Config, logger *slog.Logger) (map[string]server.Evaluator, error) {
	evaluators := make(map[string]server.Evaluator, len(cfg.AccessEvaluation))
	var problems []error
	for _, pdp := range cfg.AccessEvaluation {
		client, err := authzen.New(authzen.Config{
			URL:                  pdp.URL,
			Logger:               logger.With("pdp", pdp.Name),
			Timeout:              pdp.Timeout,
			BearerToken:          bearerToken(pdp.BearerTokenFile),
			InsecureLoopbackHTTP: pdp.InsecureLoopbackHTTP, //nolint:forbidigo // the configuration says so, and the log
		})
		if err != nil {
			problems = append(problems, fmt.Errorf("access_evaluation %q: %w", pdp.Name, err))
			continue
		}
		if pdp.InsecureLoopbackHTTP {
			logger.Warn("a PDP may be asked over plain http on this host: for development only", "pdp", pdp.Name)
		}
		evaluators[pdp.Name] = client
	}
	return evaluators, errors.Join(problems...)
}

// bearerToken reads the file for each question, so that a new token is used at once.
func bearerToken(path string) func(context.Context) (string, error) {
	if path == "" {
		return nil
	}
	return func(context.Context) (string, error) {
		text, err := config.ReadSecret(path)
		return string(text), err
	}
}
