package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

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
	if _, err := subject.NewIssuers(subject.IssuersConfig{Issuers: c.withStandIns(out.Issuers)}); err != nil {
		for _, err := range unjoin(err) {
			problem, ok := errors.AsType[*subject.IssuerProblem](err)
			if !ok {
				c.bad(field, "%v", err)
				continue
			}
			c.bad(fmt.Sprintf("%s[%d].%s", field, problem.Index, keyOf(reflect.TypeFor[issuer](), problem.Field)), "%s",
				inKeys.Replace(problem.Err.Error()))
		}
	}
}

// keyOf returns the key that sets the field of subject.IssuerConfig, or of a struct in it,
// that name says.
func keyOf(t reflect.Type, name string) string {
	name, rest, nested := strings.Cut(name, ".")
	if key, ok := otherKeys[name]; ok {
		return key
	}
	field, _ := t.FieldByName(name)
	key := field.Tag.Get("yaml")
	if nested {
		key += "." + keyOf(field.Type.Elem(), rest)
	}
	return key
}

// otherKeys are those that do not have the name of the field that they set.
var otherKeys = map[string]string{
	"ClientSecret": "client_secret_file",
	"PrivateKey":   "private_key_file",
	"CacheTTL":     "cache",
	"NoOpaque":     "opaque",
}

// inKeys puts what the issuer's own rules say in terms of fields into terms of keys.
var inKeys = strings.NewReplacer(
	"ClientSecret", "client_secret_file",
	"PrivateKey", "private_key_file",
	"NoOpaque", "opaque: false",
	", or NoCache", "",
)

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
	if c.lines[field+".requesters"] != 0 && len(i.Requesters) == 0 {
		c.bad(field+".requesters", "is empty; leave it away for all workloads")
	}
	if i.ClientSecretFile != "" {
		out.ClientSecret = c.secretText(field+".client_secret_file", i.ClientSecretFile)
	}
	if i.PrivateKeyFile != "" {
		out.PrivateKey = c.privateKey(field+".private_key_file", i.PrivateKeyFile)
	}
	return out
}

// withStandIns returns list with a secret in each place where none could be read, of which
// enough has been said, or where none is wanted.
func (c *checker) withStandIns(list []subject.IssuerConfig) []subject.IssuerConfig {
	list = slices.Clone(list)
	for n, i := range list {
		if i.Introspection == nil {
			continue
		}
		at := fmt.Sprintf("subject_tokens.issuers[%d].introspection", n)
		judged := *i.Introspection
		if judged.ClientSecret == nil && c.lines[at+".client_secret_file"] != 0 {
			judged.ClientSecret = []byte("stand-in")
		}
		if judged.PrivateKey == nil && c.lines[at+".private_key_file"] != 0 {
			judged.PrivateKey = standIn
		}
		list[n].Introspection = &judged
	}
	return list
}

// unjoin undoes errors.Join.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
