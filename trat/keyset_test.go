package trat

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

func newP256(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// Covers VER-08, KEY-01.
func TestNewKey(t *testing.T) {
	for alg, signer := range testSigners() {
		k := signer.Key()
		sum, err := (&jose.JSONWebKey{Key: k.Public()}).Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := k.Thumbprint(), encoding.EncodeToString(sum); got != want || k.ID() != want[:8] || k.Algorithm() != alg {
			t.Errorf("%s: thumbprint %s, ID %s, algorithm %s; want %s", alg, got, k.ID(), k.Algorithm(), want)
		}
	}
}

// Covers VER-08, KEY-03.
func TestNewKeyRefuses(t *testing.T) {
	p256, ed := testSigners()[ES256].Key().Public(), testSigners()[EdDSA].Key().Public()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := testSigners()[RS256].Key().Public().(*rsa.PublicKey).N
	for name, tc := range map[string]struct {
		alg    Algorithm
		public crypto.PublicKey
		field  string
	}{
		"none":               {"none", p256, "alg"},
		"HMAC":               {"HS256", []byte("secret"), "alg"},
		"nil":                {ES256, nil, "key"},
		"nil EC":             {ES256, (*ecdsa.PublicKey)(nil), "key"},
		"zero EC":            {ES256, &ecdsa.PublicKey{}, "key"},
		"nil RSA":            {RS256, (*rsa.PublicKey)(nil), "key"},
		"zero RSA":           {RS256, &rsa.PublicKey{}, "key"},
		"private key":        {ES256, newP256(t), "key"},
		"P-384":              {ES256, &p384.PublicKey, "key"},
		"not on the curve":   {ES256, &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, "key"}, //nolint:staticcheck // the invalid key is the case
		"EC for RSA":         {RS256, p256, "key"},
		"Ed25519 for EC":     {ES256, ed, "key"},
		"short Ed25519":      {EdDSA, ed.(ed25519.PublicKey)[:31], "key"},
		"bytes":              {EdDSA, []byte(ed.(ed25519.PublicKey)), "key"},
		"RSA of 1024 bits":   {RS256, &rsa.PublicKey{N: new(big.Int).Rsh(n, 1024), E: rsaExponent}, "key"},
		"RSA of 8192 bits":   {PS256, &rsa.PublicKey{N: new(big.Int).Lsh(n, 6144), E: rsaExponent}, "key"},
		"RSA exponent 3":     {PS256, &rsa.PublicKey{N: n, E: 3}, "key"},
		"even RSA modulus":   {PS256, &rsa.PublicKey{N: new(big.Int).Add(n, big.NewInt(1)), E: rsaExponent}, "key"},
		"negative modulus":   {PS256, &rsa.PublicKey{N: new(big.Int).Neg(n), E: rsaExponent}, "key"},
		"RSA for EC":         {ES256, testSigners()[RS256].Key().Public(), "key"},
		"EC key for Ed25519": {EdDSA, p256, "key"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := NewKey(tc.alg, tc.public)
			if k != nil {
				t.Error("returned a key")
			}
			wantError(t, err, ReasonParameterInvalid, tc.field)
		})
	}
}

// Covers VER-08, KEY-03.
func TestKeysThatAnyoneCanSignForAreRefused(t *testing.T) {
	forged := make([]byte, ed25519.SignatureSize) // R is the identity, S is 0
	forged[0] = 1
	for _, point := range smallOrderPoints {
		public, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		forgeable := false
		for message := range 256 {
			forgeable = forgeable || ed25519.Verify(public, []byte{byte(message)}, forged)
		}
		if !forgeable {
			t.Errorf("%s: nothing can be forged, so it is not of small order", point)
		}
		for range 2 { // with either sign of x
			_, err := NewKey(EdDSA, ed25519.PublicKey(public))
			wantError(t, err, ReasonParameterInvalid, "key")
			set := `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + encoding.EncodeToString(public) + `"}]}`
			_, err = ParseJWKS([]byte(set))
			wantError(t, err, ReasonParameterInvalid, "keys[0]")
			public[ed25519.PublicKeySize-1] |= 0x80
		}
	}
}

func TestKeyIsImmutable(t *testing.T) {
	for alg, signer := range testSigners() {
		v, _ := newTestVerifier(t, WithAlgorithms(alg), WithCacheSize(0))
		raw := signTexts(signer, toJSON(goodHeader(signer)), toJSON(goodPayload()))
		switch public := signer.Key().Public().(type) {
		case *ecdsa.PublicKey:
			public.X.SetInt64(1) //nolint:staticcheck // what a careless caller might do
		case ed25519.PublicKey:
			public[0] ^= 1
		case *rsa.PublicKey:
			public.N.SetInt64(1)
		}
		wantAccept(t, v, raw)
	}
	if (&Key{}).Public() != nil {
		t.Error("the zero Key has a public key")
	}
}

// Covers KEY-05.
func TestStaticKeySet(t *testing.T) {
	set := testKeys(t)
	keys := set.Keys()
	if len(keys) != 4 {
		t.Fatalf("%d keys", len(keys))
	}
	for i, k := range keys {
		if i > 0 && keys[i-1].ID() >= k.ID() {
			t.Error("not ordered by ID")
		}
		if got, err := set.Key(k.ID()); err != nil || got != k {
			t.Errorf("Key(%s) = %v, %v", k.ID(), got, err)
		}
	}
	_, err := set.Key("unknown")
	wantError(t, err, ReasonTxnTokenInvalid, "kid")
	_, err = NewStaticKeySet(keys[0], keys[0])
	wantError(t, err, ReasonParameterInvalid, "kid")
	_, err = NewStaticKeySet(keys[0], keys[1].withID(keys[0].ID()))
	wantError(t, err, ReasonParameterInvalid, "kid")
	for _, k := range []*Key{nil, {}} {
		_, err = NewStaticKeySet(k)
		wantError(t, err, ReasonParameterInvalid, "key")
	}
	empty, err := NewStaticKeySet()
	if err != nil || string(empty.JWKS()) != `{"keys":[]}` {
		t.Errorf("empty set = %s, %v", empty.JWKS(), err)
	}
}

func TestJWKSRoundTrip(t *testing.T) {
	set := testKeys(t)
	text := set.JWKS()
	again, err := ParseJWKS(append([]byte(" \n"), append(text, '\n')...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(again.JWKS())); diff != "" {
		t.Errorf("JWKS (-first +second):\n%s", diff)
	}
	var theirs jose.JSONWebKeySet
	if err := json.Unmarshal(text, &theirs); err != nil {
		t.Fatal(err)
	}
	for i, k := range again.Keys() {
		their := theirs.Keys[i]
		if !their.Valid() || !their.IsPublic() || their.KeyID != k.ID() || their.Algorithm != string(k.Algorithm()) || their.Use != "sig" {
			t.Errorf("go-jose reads key %d as %+v", i, their)
		}
	}
}

// testJWK is the JWK of the ES256 test key with changes.
func testJWK(changes map[string]any) map[string]any {
	var members map[string]any
	if err := json.Unmarshal([]byte(toJSON(testSigners()[ES256].Key().jwk)), &members); err != nil {
		panic(err)
	}
	return edited(members, changes)
}

func testJWKS(keys ...any) []byte { return []byte(toJSON(map[string]any{"keys": keys})) }

// Covers VER-08, KEY-03.
func TestParseJWKSAccepts(t *testing.T) {
	rs := testSigners()[RS256].Key().jwk
	for name, tc := range map[string]struct {
		jwks []byte
		kid  string
		alg  Algorithm
	}{
		"alg derived from EC":  {testJWKS(testJWK(map[string]any{"alg": nil, "use": nil})), testSigners()[ES256].Key().ID(), ES256},
		"other kid":            {testJWKS(testJWK(map[string]any{"kid": "2026-07-06/a"})), "2026-07-06/a", ES256},
		"key_ops with verify":  {testJWKS(testJWK(map[string]any{"key_ops": []string{"sign", "verify"}})), testSigners()[ES256].Key().ID(), ES256},
		"unknown member":       {testJWKS(testJWK(map[string]any{"iat": 1})), testSigners()[ES256].Key().ID(), ES256},
		"RSA":                  {testJWKS(rs), rs.ID, RS256},
		"unknown member above": {[]byte(`{"version":7,"keys":[` + toJSON(testJWK(nil)) + `]}`), testSigners()[ES256].Key().ID(), ES256},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := ParseJWKS(tc.jwks)
			if err != nil {
				t.Fatal(err)
			}
			if k, err := set.Key(tc.kid); err != nil || k.Algorithm() != tc.alg {
				t.Errorf("Key(%s) = %v, %v", tc.kid, k, err)
			}
		})
	}
	if set, err := ParseJWKS([]byte(`{"keys":[]}`)); err != nil || len(set.Keys()) != 0 {
		t.Errorf("empty set = %v, %v", set, err)
	}
}

// Covers VER-08, VER-11, KEY-03.
func TestParseJWKSRefuses(t *testing.T) {
	good := testJWK(nil)
	rs, ed := testSigners()[RS256].Key().jwk, testSigners()[EdDSA].Key().jwk
	rsWith := func(f func(*jwk)) jwk { j := rs; f(&j); return j }
	x := good["x"].(string)
	var many []any
	for i := range maxJWKSKeys + 1 {
		many = append(many, testJWK(map[string]any{"kid": fmt.Sprint(i)}))
	}
	if _, err := ParseJWKS(testJWKS(many[:maxJWKSKeys]...)); err != nil {
		t.Errorf("%d keys: %v", maxJWKSKeys, err)
	}
	text := string(testJWKS(good))
	for name, tc := range map[string]struct {
		jwks  []byte
		field string
	}{
		"nothing":              {nil, "jwks"},
		"not JSON":             {[]byte("x"), "jwks"},
		"array":                {[]byte("[]"), "jwks"},
		"no keys":              {[]byte("{}"), "jwks"},
		"keys of another type": {[]byte(`{"keys":{}}`), "jwks"},
		"key of another type":  {[]byte(`{"keys":[1]}`), "jwks"},
		"null key":             {[]byte(`{"keys":[null]}`), "jwks"},
		"duplicate keys":       {[]byte(`{"keys":[],` + text[1:]), "jwks"},
		"duplicate member":     {[]byte(strings.Replace(text, `"kty":`, `"kty":"EC","kty":`, 1)), "jwks"},
		"trailing data":        {append([]byte(text), "{}"...), "jwks"},
		"invalid UTF-8":        {[]byte("{\"keys\":[],\"a\":\"\xff\"}"), "jwks"},
		"too deep":             {[]byte(`{"keys":[],"a":` + strings.Repeat("[", maxJWKSDepth) + strings.Repeat("]", maxJWKSDepth) + "}"), "jwks"},
		"too long":             {append([]byte(text), strings.Repeat(" ", maxJWKSSize)...), "jwks"},
		"too many":             {testJWKS(many...), "jwks"},
		"duplicate kid":        {testJWKS(good, testJWK(nil)), "kid"},
		"kid twice":            {testJWKS(good, rsWith(func(j *jwk) { j.ID = good["kid"].(string) })), "kid"},
		"second key bad":       {testJWKS(good, map[string]any{}), "keys[1]"},
		"no kid":               {testJWKS(testJWK(map[string]any{"kid": nil})), "keys[0]"},
		"empty kid":            {testJWKS(testJWK(map[string]any{"kid": ""})), "keys[0]"},
		"long kid":             {testJWKS(testJWK(map[string]any{"kid": strings.Repeat("x", 65)})), "keys[0]"},
		"kid with a space":     {testJWKS(testJWK(map[string]any{"kid": "a b"})), "keys[0]"},
		"numeric kid":          {testJWKS(testJWK(map[string]any{"kid": 1})), "keys[0]"},
		"no kty":               {testJWKS(testJWK(map[string]any{"kty": nil})), "keys[0]"},
		"kty in lower case":    {testJWKS(testJWK(map[string]any{"kty": "ec"})), "keys[0]"},
		"KTY":                  {testJWKS(testJWK(map[string]any{"kty": nil, "KTY": "EC"})), "keys[0]"},
		"symmetric":            {testJWKS(map[string]any{"kty": "oct", "k": "AAAA", "kid": "a", "alg": "HS256"}), "keys[0]"},
		"private EC":           {testJWKS(testJWK(map[string]any{"d": x})), "keys[0]"},
		"P-384":                {testJWKS(testJWK(map[string]any{"crv": "P-384"})), "keys[0]"},
		"secp256k1":            {testJWKS(testJWK(map[string]any{"crv": "secp256k1"})), "keys[0]"},
		"not on the curve":     {testJWKS(testJWK(map[string]any{"y": x})), "keys[0]"},
		"no y":                 {testJWKS(testJWK(map[string]any{"y": nil})), "keys[0]"},
		"short x":              {testJWKS(testJWK(map[string]any{"x": x[:42]})), "keys[0]"},
		"padded x":             {testJWKS(testJWK(map[string]any{"x": x + "="})), "keys[0]"},
		"long x":               {testJWKS(testJWK(map[string]any{"x": "AAAA" + x})), "keys[0]"},
		"newline in x":         {testJWKS(testJWK(map[string]any{"x": x[:4] + "\n" + x[4:]})), "keys[0]"},
		"numeric x":            {testJWKS(testJWK(map[string]any{"x": 1})), "keys[0]"},
		"use enc":              {testJWKS(testJWK(map[string]any{"use": "enc"})), "keys[0]"},
		"use of a JWT-SVID":    {testJWKS(testJWK(map[string]any{"use": "jwt-svid"})), "keys[0]"},
		"key_ops without":      {testJWKS(testJWK(map[string]any{"key_ops": []string{"sign"}})), "keys[0]"},
		"empty key_ops":        {testJWKS(testJWK(map[string]any{"key_ops": []string{}})), "keys[0]"},
		"key_ops as a string":  {testJWKS(testJWK(map[string]any{"key_ops": "verify"})), "keys[0]"},
		"alg of another type":  {testJWKS(testJWK(map[string]any{"alg": "EdDSA"})), "keys[0]"},
		"alg ES384":            {testJWKS(testJWK(map[string]any{"alg": "ES384"})), "keys[0]"},
		"alg none":             {testJWKS(testJWK(map[string]any{"alg": "none"})), "keys[0]"},
		"RSA without alg":      {testJWKS(rsWith(func(j *jwk) { j.Algorithm = "" })), "keys[0]"},
		"RSA, other exponent":  {testJWKS(rsWith(func(j *jwk) { j.E = "Aw" })), "keys[0]"},
		"RSA, small":           {testJWKS(rsWith(func(j *jwk) { j.N = j.N[:len(j.N)/2] })), "keys[0]"},
		"RSA, large":           {testJWKS(rsWith(func(j *jwk) { j.N += j.N + j.N })), "keys[0]"},
		"RSA, leading zero":    {testJWKS(rsWith(func(j *jwk) { j.N = "AAAA" + j.N })), "keys[0]"},
		"RSA, no modulus":      {testJWKS(rsWith(func(j *jwk) { j.N = "" })), "keys[0]"},
		"private RSA":          {testJWKS(edited(map[string]any{"kty": "RSA", "n": rs.N, "e": rs.E, "kid": "a", "alg": "RS256"}, map[string]any{"dp": "AQ"})), "keys[0]"},
		"X25519":               {testJWKS(map[string]any{"kty": "OKP", "crv": "X25519", "x": ed.X, "kid": "a"}), "keys[0]"},
		"short Ed25519":        {testJWKS(map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "a"}), "keys[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := ParseJWKS(tc.jwks)
			if set != nil {
				t.Error("returned a set")
			}
			wantError(t, err, ReasonParameterInvalid, tc.field)
			if err != nil && strings.Contains(err.Error(), x) {
				t.Error("the error holds key material")
			}
		})
	}
}

// The digest that the cache and the fingerprint use is SHA-256 for every size.
func TestSum256(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 1023, 1024, 1025, MaxSize} {
		text := strings.Repeat("x", n)
		if sum256(text) != sha256.Sum256([]byte(text)) {
			t.Errorf("differs at %d bytes", n)
		}
	}
}
