package main

import (
	"errors"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// subjects are the verifiers that the configuration turns on, and the issuers behind
// them. Without issuers there is nothing to start, to wait for or to close.
type subjects struct {
	*subject.Registry
	issuers *subject.Issuers // nil: none
}

func newSubjects(cfg *config.Config, logger *slog.Logger) (*subjects, error) {
	var s subjects
	var verifiers []subject.Verifier
	var problems []error
	add := func(v subject.Verifier, err error) {
		verifiers, problems = append(verifiers, v), append(problems, err)
	}
	if len(cfg.Issuers) > 0 {
		var err error
		s.issuers, err = subject.NewIssuers(subject.IssuersConfig{Issuers: cfg.Issuers, Logger: logger})
		if err != nil {
			return nil, err
		}
		for _, issuer := range cfg.Issuers {
			if issuer.InsecureLoopbackHTTP {
				logger.Warn("an issuer's keys may come over plain http from this host: for development only", "issuer", issuer.Issuer)
			}
		}
		accepted := cfg.SubjectTokens()
		if _, ok := accepted[trat.TokenTypeAccessToken]; ok {
			add(subject.NewAccessToken(s.issuers))
		}
		if _, ok := accepted[trat.TokenTypeIDToken]; ok {
			add(subject.NewIDToken(s.issuers))
		}
		if _, ok := accepted[trat.TokenTypeJWT]; ok {
			add(subject.NewJWT(s.issuers))
		}
	}
	if cfg.SelfSigned != nil {
		store, err := replay.NewMemory(cfg.SelfSigned.ReplayLimit, nil)
		if err != nil {
			return nil, err
		}
		add(subject.NewSelfSigned(cfg.Issuer, store))
	}
	if cfg.UnsignedJSON {
		logger.Warn("unsigned subjects are on: what they say is taken from workloads that policy lets impersonate")
		add(subject.NewUnsignedJSON(), nil)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	var err error
	s.Registry, err = subject.NewRegistry(verifiers...)
	return &s, err
}

// Start begins to fetch the issuers' keys.
func (s *subjects) Start() {
	if s.issuers != nil {
		s.issuers.Start()
	}
}

// Ready returns nil while every issuer's keys are there.
func (s *subjects) Ready() error {
	if s.issuers == nil {
		return nil
	}
	return s.issuers.Ready()
}

// Close ends what Start began.
func (s *subjects) Close() error {
	if s.issuers == nil {
		return nil
	}
	return s.issuers.Close()
}
