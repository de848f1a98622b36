package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// jwtBundleTimeout bounds the wait for the first JWT bundles of the Workload API.
const jwtBundleTimeout = 30 * time.Second

// jwtBundles follows the Workload API's JWT bundles, if the configuration wants them, and
// waits for the first. Close what it returns.
func jwtBundles(ctx context.Context, cfg *config.Config) (_ jwtbundle.Source, done func() error, err error) {
	if cfg.SelfSigned == nil || cfg.SelfSigned.JWTSVID == 0 {
		return nil, func() error { return nil }, nil
	}
	ctx, cancel := context.WithTimeout(ctx, jwtBundleTimeout)
	defer cancel()
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("no JWT bundles from the Workload API (subject_tokens.self_signed.jwt_svid): %w", err)
	}
	return source, source.Close, nil
}

// subjects are the verifiers that the configuration turns on, and the issuers behind
// them. Without issuers there is nothing to start, to wait for or to close.
type subjects struct {
	*subject.Registry
	issuers *subject.Issuers // nil: none
}

// newSubjects makes the verifiers. jwts is what jwtBundles returned; own is where the
// token service's own keys are. Close what it returns.
func newSubjects(cfg *config.Config, jwts jwtbundle.Source, own trat.KeySet, logger *slog.Logger) (_ *subjects, err error) {
	s := new(subjects)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	verifiers, err := s.ofIssuers(cfg, logger)
	if err != nil {
		return nil, err
	}
	var problems []error
	add := func(v subject.Verifier, err error) {
		verifiers, problems = append(verifiers, v), append(problems, err)
	}
	if cfg.SelfSigned != nil {
		add(newSelfSigned(cfg, jwts))
	}
	if cfg.UnsignedJSON {
		logger.Warn("unsigned subjects are on: what they say is taken from workloads that policy lets impersonate")
		add(subject.NewUnsignedJSON(), nil)
	}
	if cfg.TxnToken {
		add(newTransactionToken(cfg, own))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	s.Registry, err = subject.NewRegistry(verifiers...)
	return s, err
}

// ofIssuers makes the verifiers of what issuers sign or vouch for.
func (s *subjects) ofIssuers(cfg *config.Config, logger *slog.Logger) ([]subject.Verifier, error) {
	if len(cfg.Issuers) == 0 {
		return nil, nil
	}
	var err error
	if s.issuers, err = subject.NewIssuers(subject.IssuersConfig{Issuers: cfg.Issuers, Logger: logger}); err != nil {
		return nil, err
	}
	for _, issuer := range cfg.Issuers {
		if issuer.InsecureLoopbackHTTP {
			logger.Warn("an issuer's keys may come over plain http from this host: for development only", "issuer", issuer.Issuer)
		}
	}
	var verifiers []subject.Verifier
	var problems []error
	accepted := cfg.SubjectTokens()
	add := func(uri string, verifier func() (subject.Verifier, error)) {
		if _, ok := accepted[uri]; ok {
			v, err := verifier()
			verifiers, problems = append(verifiers, v), append(problems, err)
		}
	}
	add(trat.TokenTypeAccessToken, func() (subject.Verifier, error) { return subject.NewAccessToken(s.issuers) })
	add(trat.TokenTypeIDToken, func() (subject.Verifier, error) { return subject.NewIDToken(s.issuers) })
	add(trat.TokenTypeJWT, func() (subject.Verifier, error) { return subject.NewJWT(s.issuers) })
	return verifiers, errors.Join(problems...)
}

// newSelfSigned makes the verifier of what workloads sign themselves.
func newSelfSigned(cfg *config.Config, jwts jwtbundle.Source) (subject.Verifier, error) {
	store, err := replay.NewMemory(cfg.SelfSigned.ReplayLimit, nil)
	if err != nil {
		return nil, err
	}
	if use := cfg.SelfSigned.JWTSVID; use != 0 {
		return subject.NewSelfSigned(cfg.Issuer, store, subject.WithJWTSVIDs(jwts, use))
	}
	return subject.NewSelfSigned(cfg.Issuer, store)
}

// newTransactionToken makes the verifier of TraTs that are to be replaced. Nothing is
// cached: each is presented once.
func newTransactionToken(cfg *config.Config, own trat.KeySet) (subject.Verifier, error) {
	verifier, err := trat.NewVerifier(cfg.TrustDomain.Name(), cfg.Issuer, own, trat.WithCacheSize(0))
	if err != nil {
		return nil, err
	}
	return subject.NewTransactionToken(verifier)
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
