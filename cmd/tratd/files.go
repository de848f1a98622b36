package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/policy"
)

// loadFiles reads the configuration at path and the policy that it names, and reports the
// problems of both. Whether the policy fits the configuration can be said only of one
// without problems.
func loadFiles(path string) (*config.Config, *policy.Policy, error) {
	cfg, policyPath, err := config.Load(path)
	if err != nil {
		if policyPath == "" {
			return nil, nil, err
		}
		_, policyErr := loadPolicy(policyPath, policy.Parse)
		return nil, nil, errors.Join(err, policyErr)
	}
	p, err := loadPolicy(policyPath, func(text []byte) (*policy.Policy, error) {
		return policy.ParseFor(text, serviceOf(cfg))
	})
	if err != nil {
		return nil, nil, err
	}
	return cfg, p, nil
}

// serviceOf is what the policy has to fit: what newSubjects makes of the configuration.
func serviceOf(cfg *config.Config) policy.Service {
	return policy.Service{TrustDomain: cfg.TrustDomain, SubjectTokens: cfg.SubjectTokens()}
}

func loadPolicy(path string, parse func([]byte) (*policy.Policy, error)) (*policy.Policy, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(file, policy.MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return parse(text)
}
