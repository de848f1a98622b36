// Package config reads the configuration file of tratd: YAML, strict and bounded. A
// problem never hides another one: Parse reports all of them, each with line, key and
// reason.
//
// This is every key. Those without a default are required.
//
//	version: 1
//	listen: 127.0.0.1:8443           # TCP address of the gRPC service
//	trust_domain: shop.test          # the one that tokens are issued for
//	issuer: https://tts.shop.test    # iss of every token, the same at all replicas
//	spiffe_id: spiffe://shop.test/tts  # who this process must be
//	policy: policy.yaml              # relative to this file
//
//	subject_tokens:                  # default: none is accepted
//	  issuers:                       # of access tokens and ID tokens
//	    - issuer: https://login.shop.test
//	      prefix: login              # namespace of its subjects; never change it
//	      audience: https://shop.test  # aud of its access tokens; absent: none accepted
//	      client_id: shop-web        # aud of its ID tokens; absent: none accepted
//	      algorithms: [ES256, RS256] # default: ES256, EdDSA, PS256, RS256
//	      skew: 30s                  # how far its clock may differ; default 30s
//	      oauth_metadata: false      # RFC 8414 in place of OpenID Connect Discovery
//	      insecure_loopback_http: false  # for development
//	  self_signed:                   # default: off
//	    replay_store: memory         # one replica only; no default
//	    replay_limit: 100000         # tokens remembered; one workload has half at most
//	  unsigned_json: false           # policy must grant impersonation besides
//
//	limits:
//	  max_connections: 256           # of one workload, all its replicas together
//	  max_streams: 256               # concurrent calls per connection
//	  max_watchers: 4096             # open WatchKeys calls; one workload has half at most
//	  shutdown_timeout: 10s          # for calls to finish
//
//	log:
//	  level: info                    # debug, info, warn, error
//	  format: json                   # json, text
package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
)

// MaxSize is the longest configuration file, in bytes.
const MaxSize = 64 << 10

// Defaults of the keys that have one.
const (
	DefaultMaxConnections  = 256
	DefaultMaxStreams      = 256
	DefaultMaxWatchers     = 4096
	DefaultReplayLimit     = 100_000
	DefaultShutdownTimeout = 10 * time.Second
)

// Config is a configuration without problems; only Parse and Load make one.
type Config struct {
	// Listen is the TCP address to serve at, "host:port".
	Listen string
	// TrustDomain is the trust domain that tokens are issued for.
	TrustDomain spiffeid.TrustDomain
	// Issuer is the iss of tokens.
	Issuer string
	// ID is the SPIFFE ID that this process must have, in TrustDomain.
	ID spiffeid.ID
	// Policy is the path of the policy file.
	Policy string
	// Issuers are those of access tokens and ID tokens. Empty: neither is accepted.
	Issuers []subject.IssuerConfig
	// SelfSigned turns self-signed subject tokens on.
	SelfSigned *SelfSigned
	// UnsignedJSON turns unsigned subjects on.
	UnsignedJSON bool
	// Limits bound what callers can take.
	Limits Limits
	// Log says what is logged and how.
	Log Log
}

// SelfSigned is how the jti of self-signed subject tokens are remembered: in memory,
// the only store there is.
type SelfSigned struct {
	// ReplayLimit is the number of jti that are remembered.
	ReplayLimit int
}

// Limits bound what callers can take.
type Limits struct {
	// MaxConnections is the number of connections of one workload.
	MaxConnections int
	// MaxStreams is the number of concurrent calls per connection.
	MaxStreams int
	// MaxWatchers is the number of open WatchKeys calls.
	MaxWatchers int
	// ShutdownTimeout is how long calls may take to finish at the end.
	ShutdownTimeout time.Duration
}

// Log says what is logged and how.
type Log struct {
	// Level is the least level that is logged. Audit records are always.
	Level slog.Level
	// JSON chooses between one JSON object and logfmt-like text per record.
	JSON bool
}

// AcceptsAccessTokens reports whether some issuer's access tokens are accepted.
func (c *Config) AcceptsAccessTokens() bool {
	return slices.ContainsFunc(c.Issuers, func(i subject.IssuerConfig) bool { return i.Audience != "" })
}

// AcceptsIDTokens reports whether some issuer's ID tokens are accepted.
func (c *Config) AcceptsIDTokens() bool {
	return slices.ContainsFunc(c.Issuers, func(i subject.IssuerConfig) bool { return i.ClientID != "" })
}

// Load reads the file at path. Paths in it are relative to its directory. The path of the
// policy file is also returned, unless it is not known, where the configuration has
// problems, so that those of the policy can be told with them.
func Load(path string) (c *Config, policy string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("config: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, "", fmt.Errorf("config: %w", err)
	}
	c, err = parse(text)
	if c.Policy != "" && !filepath.IsAbs(c.Policy) {
		c.Policy = filepath.Join(filepath.Dir(path), c.Policy)
	}
	if err != nil {
		return nil, c.Policy, err
	}
	return c, c.Policy, nil
}
