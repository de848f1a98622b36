package subject_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
)

// members are those of a JSON object.
type members = map[string]any

// signingKey is a key with the header parameters that go with it. It signs with the
// standard library, so that the verifier is tested against something else than
// itself.
type signingKey struct {
	kid     string // "" = no kid
	alg     string
	private any // crypto.Signer, or []byte for HS256
}

// must is for what cannot fail in a test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Keys that are slow to make are made once.
var (
	rsaKey      = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	smallRSAKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
)

func newECKey() *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func newEd25519Key() ed25519.PrivateKey {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return private
}

// jwt signs claims under a header with typ and, unless header says otherwise, the
// key's own alg and kid. A header value of absent{} leaves the parameter away.
func (k signingKey) jwt(typ string, claims, header members) string {
	h := members{"alg": k.alg}
	if k.kid != "" {
		h["kid"] = k.kid
	}
	if typ != "" {
		h["typ"] = typ
	}
	return k.compact(encode(edit(h, header)), encode(claims))
}

// compact signs header and payload as they are.
func (k signingKey) compact(header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(k.sign([]byte(input)))
}

func (k signingKey) sign(input []byte) []byte {
	digest := sha256.Sum256(input)
	switch key := k.private.(type) {
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write(input)
		return mac.Sum(nil)
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input)
	case *rsa.PrivateKey:
		if k.alg == "PS256" {
			return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}
		return must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]))
	}
	panic(fmt.Sprintf("cannot sign with %T", k.private))
}

// absent as a value takes a member away.
type absent struct{}

// edit returns a copy of base with the changes made.
func edit(base, changes members) members {
	edited := make(members, len(base)+len(changes))
	for _, from := range []members{base, changes} {
		for name, value := range from {
			if value == (absent{}) {
				delete(edited, name)
				continue
			}
			edited[name] = value
		}
	}
	return edited
}

func encode(v any) string { return string(must(json.Marshal(v))) }

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
