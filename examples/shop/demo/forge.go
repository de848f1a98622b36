package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// secretPattern matches what must be in no log: a complete signed token (header, payload
// and signature), and a call chain as it goes with a call. What records hold of a chain
// begins in another way, and is no use to call with.
var secretPattern = regexp.MustCompile(`eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}|(?:^|[^\w-])E[Qg][\w-]{150,}`)

// resigned is raw with the signature of a key that nobody trusts.
func resigned(raw string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	signed := raw[:strings.LastIndex(raw, ".")]
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// unsigned is raw with alg "none" and no signature.
func unsigned(raw string) string {
	payload := strings.Split(raw, ".")[1]
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"` + trat.Type + `","alg":"none"}`))
	return header + "." + payload + "."
}

// altered is raw with one claim's text replaced, and its old signature.
func altered(raw, from, to string) (string, error) {
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), from, to, 1)))
	return strings.Join(parts, "."), nil
}

// foreign is a token that the token service of another trust domain might have
// made: correct in every way, for its own domain.
func foreign(now time.Time, scope string, details trat.Object) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	signer, err := trat.NewSigner(key, trat.ES256)
	if err != nil {
		return "", err
	}
	granted, err := trat.ParseScope(scope)
	if err != nil {
		return "", err
	}
	token, err := trat.Prepare(trat.Claims{
		Issuer:             "https://tts." + rivalDomain.Name(),
		Subject:            "alice",
		Audience:           rivalDomain.Name(),
		TransactionID:      rand.Text(),
		Scope:              granted,
		RequestingWorkload: rivalDomain.ID().String() + "/gateway",
		IssuedAt:           now.Truncate(time.Second),
		Expiry:             now.Truncate(time.Second).Add(trat.DefaultLifetime),
		TransactionContext: details,
	})
	if err != nil {
		return "", err
	}
	return signer.Sign(token)
}
