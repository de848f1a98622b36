package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/grpc-trat/grpc-trat/server/policy"
)

// Option changes what Load does.
type Option func(*loading)

type loading struct {
	withoutFiles, withPolicy, replace bool
	descriptors                       []policy.Descriptors
}

// WithoutFiles is for who has no access to the files with secrets and certificates that a
// configuration names, and no need for them: they are taken to be good, and the Config
// lacks them.
func WithoutFiles() Option { return func(l *loading) { l.withoutFiles = true } }

// WithDescriptors puts others in the place of the descriptor sets that a configuration names,
// which are then not read.
func WithDescriptors(descriptors ...policy.Descriptors) Option {
	return func(l *loading) { l.replace, l.descriptors = true, descriptors }
}

// WithPolicy also judges the policy that the configuration names, so that the problems of
// both come at once. Whether it fits the configuration can be said only of one without
// problems.
func WithPolicy() Option { return func(l *loading) { l.withPolicy = true } }

// Load reads the file at path and the files with secrets, certificates and descriptors that
// it names.
// Paths in it are relative to its directory. Its error joins a *Problem for each thing that
// is wrong.
func Load(path string, options ...Option) (*Config, error) {
	var l loading
	for _, option := range options {
		option(&l)
	}
	text, err := readText(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	absolute := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(path), name)
	}
	named := files{
		secret:       func(name string) ([]byte, error) { return ReadSecret(absolute(name)) },
		certificates: func(name string) ([]byte, error) { return readCertificates(absolute(name)) },
		descriptors:  func(name string) ([]byte, error) { return readDescriptors(absolute(name)) },
	}
	if l.withoutFiles {
		named.secret, named.certificates = nil, nil
	}
	if l.replace {
		named.descriptors = nil
	}
	c, err := parse(text, named)
	if l.replace {
		c.Descriptors = l.descriptors
	}
	c.Policy = absolute(c.Policy)
	if l.withPolicy && c.Policy != "" {
		err = errors.Join(err, c.judgePolicy(err == nil))
	}
	if err != nil {
		return nil, err
	}
	if c.Audit.File != StandardError {
		c.Audit.File = absolute(c.Audit.File)
	}
	for i := range c.AccessEvaluation {
		c.AccessEvaluation[i].BearerTokenFile = absolute(c.AccessEvaluation[i].BearerTokenFile)
	}
	return c, nil
}

func readText(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	return io.ReadAll(io.LimitReader(file, MaxSize+1))
}

// judgePolicy says what is wrong with the policy file, by itself or for c.
func (c *Config) judgePolicy(fit bool) error {
	load := func(text []byte) (*policy.Policy, error) { return policy.ParseWith(text, c.Descriptors...) }
	if fit {
		load = c.ParsePolicy
	}
	_, err := policy.ReadFile(c.Policy, load)
	return err
}

// ParsePolicy compiles a policy for the service that the configuration describes:
// policy.ParseFor.
func (c *Config) ParsePolicy(text []byte) (*policy.Policy, error) {
	return policy.ParseFor(text, policy.Service{
		TrustDomain: c.TrustDomain, SubjectTokens: c.SubjectTokens(), PDPs: c.pdpNames(), Descriptors: c.Descriptors,
	})
}
