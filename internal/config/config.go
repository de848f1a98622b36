// Package config reads the configuration file of tratd: YAML, strict and bounded. A
// problem never hides another one: Load reports all of them, each with line, key and
// reason.
//
// This is every key. Those without a default are required.
//
//	version: 1
//	listen: 127.0.0.1:8443           # TCP address of the gRPC service
//	trust_domain: shop.test          # the one that tokens are issued for
//	issuer: https://tts.shop.test    # iss of every token, the same at all replicas
//	spiffe_id: spiffe://shop.test/tts  # who this process must be
//	policy: policy.yaml              # paths are relative to this file
//	policy_reload: 5s                # how often it is looked at for changes
//	descriptors: [shop.binpb]        # services whose methods policy satisfies; default: none
//
//	http:                            # default: off
//	  listen: 127.0.0.1:8444         # TCP address of the HTTP token endpoint
//	  base_url: https://tts.shop.test  # where clients find it; default: issuer
//
//	subject_tokens:                  # default: none is accepted
//	  issuers:                       # of access tokens, ID tokens and other JWTs
//	    - issuer: https://login.shop.test
//	      prefix: login              # namespace of its subjects; never change it
//	      audience: https://shop.test  # aud of its access tokens; absent: none accepted
//	      client_id: shop-web        # aud of its ID tokens; absent: none accepted
//	      jwt_audience: https://shop.test/jobs  # aud of its other JWTs; absent: none accepted
//	      jwt_types: [job+jwt]       # typ of its other JWTs; default: JWT, or none
//	      introspection:             # default: opaque access tokens are refused
//	        endpoint: https://login.shop.test/introspect  # default: from its metadata
//	        client_id: tratd
//	        private_key_file: login.key  # it or client_secret_file
//	        key_id: tratd-1          # kid of that key there; default: none
//	        timeout: 1s
//	        cache: 10s               # how long an answer "active" is used; 0s: not at all
//	        opaque: true             # ask about opaque access tokens
//	        jwts: false              # ask about access tokens that are JWTs too
//	        requesters: [spiffe://shop.test/gateway]  # of opaque tokens; default: all
//	      algorithms: [ES256, RS256] # default: ES256, EdDSA, PS256, RS256
//	      skew: 30s                  # how far its clock may differ; default 30s
//	      oauth_metadata: false      # RFC 8414 in place of OpenID Connect Discovery
//	      insecure_loopback_http: false  # for development
//	  self_signed:                   # default: off
//	    replay_store: memory         # one replica only; no default
//	    replay_limit: 100000         # tokens remembered; one workload has half at most
//	    jwt_svid: off                # a workload's own JWT-SVID too: off, once, reusable
//	  unsigned_json: false           # policy must grant impersonation besides
//	  txn_token: false               # replacement; policy must allow it besides
//
//	access_evaluation:               # PDPs that policy may ask (AuthZEN); default: none
//	  - name: pdp
//	    url: https://pdp.shop.test/access/v1/evaluation
//	    timeout: 500ms
//	    bearer_token_file: pdp.token # default: none is sent
//	    ca_file: pdp-ca.pem          # who signs its certificate; default: the system's CAs
//	    svid: false                  # present this process's X.509-SVID to it
//	    insecure_loopback_http: false  # for development
//
//	audit:
//	  file: audit.log                # hash-chained; default: "-", plain on standard error
//	  sync: periodic                 # forced to disk: each second; record, before an answer; never
//	  max_size: 268435456            # bytes from which the file is rotated
//	  chain_key_file: chain.key      # default: chained without a key
//	  otlp: false                    # as OTLP logs besides
//	  pseudonym_key_file: pseudonym.key  # default: a key that ends with the process
//	  pseudonym_period: 24h          # a subject's pseudonym changes this often
//
//	limits:
//	  max_connections: 256           # of one workload, all its replicas together
//	  max_streams: 256               # concurrent calls per connection
//	  max_watchers: 4096             # open WatchKeys calls; one workload has half at most
//	  requests_per_second: 1000      # exchanges of one workload, all its replicas together
//	  burst: 2000                    # exchanges of one workload at once
//	  max_exchanges: 1024            # under way; one workload has half at most
//	  shutdown_timeout: 10s          # for calls to finish
//
//	log:
//	  level: info                    # debug, info, warn, error
//	  format: json                   # json, text
//
// A file with a secret (client_secret_file, private_key_file, bearer_token_file,
// chain_key_file, pseudonym_key_file) is held to ReadSecret. No Config prints what is in
// it.
package config

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
)

// MaxSize is the longest configuration file, in bytes.
const MaxSize = 64 << 10

// Defaults of the keys that have one.
const (
	DefaultPolicyReload      = policy.DefaultReloadInterval
	DefaultMaxConnections    = 256
	DefaultMaxStreams        = 256
	DefaultMaxWatchers       = server.DefaultMaxWatchers
	DefaultRequestsPerSecond = server.DefaultRequestsPerSecond
	DefaultBurst             = server.DefaultBurst
	DefaultMaxExchanges      = server.DefaultMaxConcurrent
	DefaultReplayLimit       = 100_000
	DefaultShutdownTimeout   = 10 * time.Second
	DefaultPseudonymPeriod   = server.DefaultPseudonymPeriod
	DefaultAuditSize         = auditlog.DefaultMaxSize
	DefaultPDPTimeout        = authzen.DefaultTimeout
)

// Config is a configuration without problems; only Load makes one. It prints as
// its issuer: parts of it are secret.
type Config struct {
	// Listen is the TCP address to serve at, "host:port".
	Listen string
	// TrustDomain is the trust domain that tokens are issued for.
	TrustDomain spiffeid.TrustDomain
	// Issuer is the iss of tokens.
	Issuer string
	// ID is the SPIFFE ID that this process must have, in TrustDomain.
	ID spiffeid.ID
	// Policy is the path of the policy file, PolicyReload how often it is looked at.
	Policy       string
	PolicyReload time.Duration
	// Descriptors are the descriptor sets of services whose methods the policy satisfies, as
	// they were when the configuration was read.
	Descriptors []policy.Descriptors
	// HTTP turns the HTTP token endpoint on.
	HTTP *HTTP
	// Issuers are those of subject tokens. Empty: no issuer's tokens are accepted.
	Issuers []subject.IssuerConfig
	// SelfSigned turns self-signed subject tokens on.
	SelfSigned *SelfSigned
	// UnsignedJSON turns unsigned subjects on.
	UnsignedJSON bool
	// TxnToken turns replacement on.
	TxnToken bool
	// AccessEvaluation are the PDPs that policy may name, each of another name.
	AccessEvaluation []PDP
	// Audit says where audit records go and what they say of subjects.
	Audit Audit
	// Limits bound what callers can take.
	Limits Limits
	// Log says what is logged and how.
	Log Log
}

// SelfSigned is what is accepted as self-signed subject token, and how their jti are
// remembered: in memory, the only store there is.
type SelfSigned struct {
	// ReplayLimit is the number of jti that are remembered.
	ReplayLimit int
	// JWTSVID is how often one JWT-SVID of a workload's own is accepted besides; 0: never.
	JWTSVID subject.JWTSVIDUse
}

// Limits bound what callers can take.
type Limits struct {
	// MaxConnections is the number of connections of one workload, those of gRPC and HTTP
	// together.
	MaxConnections int
	// MaxStreams is the number of concurrent calls per connection.
	MaxStreams int
	// MaxWatchers is the number of open WatchKeys calls.
	MaxWatchers int
	// RequestsPerSecond and Burst are the rate of exchanges of one workload.
	RequestsPerSecond float64
	Burst             int
	// MaxExchanges is the number of exchanges under way.
	MaxExchanges int
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

// String returns the type and the issuer.
func (c Config) String() string { return fmt.Sprintf("config.Config(issuer=%q)", c.Issuer) }

// Format prints what String returns, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns what String returns.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
