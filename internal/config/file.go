package config

import "time"

// file is the document as it is written. Only the decoder fills it.
type file struct {
	Version          int                `yaml:"version"`
	Listen           string             `yaml:"listen"`
	TrustDomain      string             `yaml:"trust_domain"`
	Issuer           string             `yaml:"issuer"`
	SPIFFEID         string             `yaml:"spiffe_id"`
	Policy           string             `yaml:"policy"`
	PolicyReload     time.Duration      `yaml:"policy_reload"`
	Descriptors      []string           `yaml:"descriptors"`
	HTTP             *httpFront         `yaml:"http"`
	SubjectTokens    subjectTokens      `yaml:"subject_tokens"`
	AccessEvaluation []accessEvaluation `yaml:"access_evaluation"`
	Audit            audit              `yaml:"audit"`
	Limits           limits             `yaml:"limits"`
	Log              logging            `yaml:"log"`
}

type httpFront struct {
	Listen  string `yaml:"listen"`
	BaseURL string `yaml:"base_url"`
}

type subjectTokens struct {
	Issuers      []issuer    `yaml:"issuers"`
	SelfSigned   *selfSigned `yaml:"self_signed"`
	UnsignedJSON bool        `yaml:"unsigned_json"`
	TxnToken     bool        `yaml:"txn_token"`
}

type issuer struct {
	Issuer               string         `yaml:"issuer"`
	Prefix               string         `yaml:"prefix"`
	Audience             string         `yaml:"audience"`
	ClientID             string         `yaml:"client_id"`
	JWTAudience          string         `yaml:"jwt_audience"`
	JWTTypes             []string       `yaml:"jwt_types"`
	Introspection        *introspection `yaml:"introspection"`
	Algorithms           []string       `yaml:"algorithms"`
	Skew                 time.Duration  `yaml:"skew"`
	OAuthMetadata        bool           `yaml:"oauth_metadata"`
	InsecureLoopbackHTTP bool           `yaml:"insecure_loopback_http"`
}

type introspection struct {
	Endpoint         string        `yaml:"endpoint"`
	ClientID         string        `yaml:"client_id"`
	ClientSecretFile string        `yaml:"client_secret_file"`
	PrivateKeyFile   string        `yaml:"private_key_file"`
	KeyID            string        `yaml:"key_id"`
	Timeout          time.Duration `yaml:"timeout"`
	Cache            time.Duration `yaml:"cache"`
	Opaque           *bool         `yaml:"opaque"`
	JWTs             bool          `yaml:"jwts"`
	Requesters       []string      `yaml:"requesters"`
}

type selfSigned struct {
	ReplayStore string `yaml:"replay_store"`
	ReplayLimit int    `yaml:"replay_limit"`
	JWTSVID     string `yaml:"jwt_svid"`
}

type accessEvaluation struct {
	Name                 string        `yaml:"name"`
	URL                  string        `yaml:"url"`
	Timeout              time.Duration `yaml:"timeout"`
	BearerTokenFile      string        `yaml:"bearer_token_file"`
	CAFile               string        `yaml:"ca_file"`
	SVID                 bool          `yaml:"svid"`
	InsecureLoopbackHTTP bool          `yaml:"insecure_loopback_http"`
}

type audit struct {
	File             string        `yaml:"file"`
	Sync             string        `yaml:"sync"`
	MaxSize          int64         `yaml:"max_size"`
	ChainKeyFile     string        `yaml:"chain_key_file"`
	OTLP             bool          `yaml:"otlp"`
	PseudonymKeyFile string        `yaml:"pseudonym_key_file"`
	PseudonymPeriod  time.Duration `yaml:"pseudonym_period"`
}

type limits struct {
	MaxConnections    int           `yaml:"max_connections"`
	MaxStreams        int           `yaml:"max_streams"`
	MaxWatchers       int           `yaml:"max_watchers"`
	RequestsPerSecond float64       `yaml:"requests_per_second"`
	Burst             int           `yaml:"burst"`
	MaxExchanges      int           `yaml:"max_exchanges"`
	ShutdownTimeout   time.Duration `yaml:"shutdown_timeout"`
}

type logging struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// defaults is the document before anything is read into it.
func defaults() file {
	return file{
		PolicyReload: DefaultPolicyReload,
		Audit:        audit{File: StandardError, Sync: "periodic", MaxSize: DefaultAuditSize, PseudonymPeriod: DefaultPseudonymPeriod},
		Limits: limits{
			MaxConnections:    DefaultMaxConnections,
			MaxStreams:        DefaultMaxStreams,
			MaxWatchers:       DefaultMaxWatchers,
			RequestsPerSecond: DefaultRequestsPerSecond,
			Burst:             DefaultBurst,
			MaxExchanges:      DefaultMaxExchanges,
			ShutdownTimeout:   DefaultShutdownTimeout,
		},
		Log: logging{Level: "info", Format: "json"},
	}
}
