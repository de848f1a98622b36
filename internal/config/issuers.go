package config

import (
	"errors"
	"fmt"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// SubjectTokens has each subject token type that is accepted, with the issuers whose tokens
// of this type are.
func (c *Config) SubjectTokens() map[string][]string {
	tokens := make(map[string][]string)
	for _, i := range c.Issuers {
		for uri, recipient := range map[string]string{
			trat.TokenTypeAccessToken: i.Audience,
			trat.TokenTypeIDToken:     i.ClientID,
			trat.TokenTypeJWT:         i.JWTAudience,
		} {
			if recipient != "" {
				tokens[uri] = append(tokens[uri], i.Issuer)
			}
		}
	}
	if c.SelfSigned != nil {
		tokens[trat.TokenTypeSelfSigned] = nil
	}
	if c.UnsignedJSON {
		tokens[trat.TokenTypeUnsignedJSON] = nil
	}
	if c.TxnToken {
		tokens[trat.TokenType] = []string{c.Issuer}
	}
	return tokens
}

func (c *checker) issuers(list []issuer, out *Config) {
	const field = "subject_tokens.issuers"
	if len(list) == 0 {
		if c.lines[field] != 0 {
			c.bad(field, "is empty")
		}
		return
	}
	for n, i := range list {
		at := fmt.Sprintf("%s[%d]", field, n)
		c.unset(at, i)
		algorithms := make([]trat.Algorithm, len(i.Algorithms))
		for k, name := range i.Algorithms {
			algorithms[k] = trat.Algorithm(name)
		}
		out.Issuers = append(out.Issuers, subject.IssuerConfig{
			Issuer:               i.Issuer,
			Prefix:               i.Prefix,
			Audience:             i.Audience,
			ClientID:             i.ClientID,
			JWTAudience:          i.JWTAudience,
			JWTTypes:             i.JWTTypes,
			Introspection:        c.introspection(at+".introspection", i.Introspection),
			Algorithms:           algorithms,
			Skew:                 i.Skew,
			OAuthMetadata:        i.OAuthMetadata,
			InsecureLoopbackHTTP: i.InsecureLoopbackHTTP,
		})
	}
	// The rules of issuers are theirs.
	for _, err := range unjoin(subject.CheckIssuers(out.Issuers)) {
		if problem, ok := errors.AsType[*subject.IssuerProblem](err); ok {
			c.bad(fmt.Sprintf("%s[%d].%s", field, problem.Index, issuerKeys[problem.Field]), "%v", problem.Err)
		} else {
			c.bad(field, "%v", err)
		}
	}
}

// issuerKeys are the keys that set the fields of subject.IssuerConfig.
var issuerKeys = map[string]string{
	"Issuer":                      "issuer",
	"Prefix":                      "prefix",
	"Audience":                    "audience",
	"ClientID":                    "client_id",
	"JWTAudience":                 "jwt_audience",
	"JWTTypes":                    "jwt_types",
	"Introspection":               "introspection",
	"Introspection.Endpoint":      "introspection.endpoint",
	"Introspection.ClientID":      "introspection.client_id",
	"Introspection.ClientSecret":  "introspection.client_secret_file",
	"Introspection.PrivateKey":    "introspection.private_key_file",
	"Introspection.KeyID":         "introspection.key_id",
	"Introspection.Timeout":       "introspection.timeout",
	"Introspection.CacheTTL":      "introspection.cache",
	"Introspection.JWTs":          "introspection.jwts",
	"Introspection.NoOpaque":      "introspection.opaque",
	"Introspection.Requesters":    "introspection.requesters",
	"Introspection.AllRequesters": "introspection.requesters", // absent
	"Algorithms":                  "algorithms",
	"Skew":                        "skew",
	"OAuthMetadata":               "oauth_metadata",
	"InsecureLoopbackHTTP":        "insecure_loopback_http",
}

// unset refuses what is written and yet means the default, which is looser: whoever writes
// no skew or no algorithms wants none.
func (c *checker) unset(field string, i issuer) {
	if c.lines[field+".skew"] != 0 && i.Skew == 0 {
		c.bad(field+".skew", "want more than 0s; leave it away for %s", subject.DefaultSkew)
	}
	for key, list := range map[string][]string{"algorithms": i.Algorithms, "jwt_types": i.JWTTypes} {
		if c.lines[field+"."+key] != 0 && len(list) == 0 {
			c.bad(field+"."+key, "is empty; leave it away for the default")
		}
	}
}

// introspection reads the secret of an issuer's introspection besides.
func (c *checker) introspection(field string, i *introspection) *subject.IntrospectionConfig {
	if i == nil {
		return nil
	}
	out := &subject.IntrospectionConfig{
		Endpoint:   i.Endpoint,
		ClientID:   i.ClientID,
		KeyID:      i.KeyID,
		Timeout:    i.Timeout,
		CacheTTL:   i.Cache,
		JWTs:       i.JWTs,
		NoOpaque:   i.Opaque != nil && !*i.Opaque,
		Requesters: i.Requesters,
	}
	// An empty list does not mean all: it is refused.
	out.AllRequesters = c.lines[field+".requesters"] == 0 && !out.NoOpaque
	if c.lines[field+".cache"] != 0 && i.Cache == 0 {
		out.CacheTTL = subject.NoCache
	}
	if i.Cache < 0 {
		c.bad(field+".cache", "is negative")
		out.CacheTTL = 0
	}
	if c.lines[field+".timeout"] != 0 && i.Timeout == 0 {
		c.bad(field+".timeout", "want more than 0s; leave it away for %s", subject.DefaultIntrospectionTimeout)
	}
	switch hasKey, hasSecret := c.lines[field+".private_key_file"] != 0, c.lines[field+".client_secret_file"] != 0; {
	case hasKey && hasSecret:
		c.bad(field+".client_secret_file", "is there beside private_key_file: one of them authenticates")
	case !hasKey && !hasSecret:
		c.bad(field+".private_key_file", "is required, or else client_secret_file")
	case i.KeyID != "" && !hasKey:
		c.bad(field+".key_id", "is that of private_key_file, which is not there")
	}
	if i.ClientSecretFile != "" {
		out.ClientSecret = c.secretText(field+".client_secret_file", i.ClientSecretFile)
	}
	if i.PrivateKeyFile != "" {
		out.PrivateKey = c.privateKey(field+".private_key_file", i.PrivateKeyFile)
	}
	return out
}

// unjoin undoes errors.Join.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
