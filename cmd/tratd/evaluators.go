package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server"
)

// newEvaluators makes a client of each policy decision point, by the name that policy has
// for it. svids is asked at each handshake with one that is to be shown an X.509-SVID.
func newEvaluators(cfg *config.Config, svids x509svid.Source, logger *slog.Logger) (map[string]server.Evaluator, error) {
	evaluators := make(map[string]server.Evaluator, len(cfg.AccessEvaluation))
	var problems []error
	for _, pdp := range cfg.AccessEvaluation {
		client, err := authzen.New(authzen.Config{
			URL:                  pdp.URL,
			Logger:               logger.With("pdp", pdp.Name),
			Timeout:              pdp.Timeout,
			BearerToken:          bearerToken(pdp.BearerTokenFile),
			TLS:                  pdpTLS(pdp, svids),
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

// pdpTLS verifies a PDP by its name and the CAs that are configured; nil is the default.
func pdpTLS(pdp config.PDP, svids x509svid.Source) *tls.Config {
	switch {
	case pdp.SVID:
		return tlsconfig.MTLSWebClientConfig(svids, pdp.CAs)
	case pdp.CAs != nil:
		return &tls.Config{RootCAs: pdp.CAs, MinVersion: tls.VersionTLS12}
	default:
		return nil
	}
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
