package trat

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
)

// Covers VER-12, ERR-11.
func TestVerifyShape(t *testing.T) {
	v, keys := newTestVerifier(t)
	good := tokenWith(nil)
	parts := strings.Split(good, ".")
	std := func(i int) string {
		b, err := encoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(append(b, 0xff, 0xfe))
	}
	wantReject(t, v, "", ReasonTxnTokenMissing, "")
	for name, tc := range map[string]struct{ raw, field string }{
		"one segment":          {parts[0], ""},
		"two segments":         {parts[0] + "." + parts[1], ""},
		"four segments":        {good + ".AAAA", ""},
		"five segments (JWE)":  {good + ".AAAA.AAAA", ""},
		"empty header":         {"." + parts[1] + "." + parts[2], ""},
		"empty payload":        {parts[0] + ".." + parts[2], ""},
		"no signature":         {parts[0] + "." + parts[1] + ".", ""},
		"dots only":            {"..", ""},
		"too long":             {good + strings.Repeat("A", MaxSize), ""},
		"far too long":         {strings.Repeat("eyJ.", 1<<18), ""},
		"leading space":        {" " + good, "header"},
		"trailing space":       {good + " ", "signature"},
		"trailing newline":     {good + "\n", "signature"},
		"newline inside":       {parts[0] + "." + parts[1][:8] + "\n" + parts[1][8:] + "." + parts[2], "payload"},
		"carriage return":      {parts[0][:4] + "\r" + parts[0][4:] + "." + parts[1] + "." + parts[2], "header"},
		"padded":               {good + "==", "signature"},
		"padded payload":       {replaceSegment(good, 1, parts[1]+"="), "payload"},
		"standard alphabet":    {replaceSegment(good, 2, std(2)), "signature"},
		"impossible length":    {replaceSegment(good, 2, "AAAAA"), "signature"},
		"signature too long":   {replaceSegment(good, 2, strings.Repeat("A", 1200)), "signature"},
		"Bearer":               {"Bearer " + good, "header"},
		"two joined by commas": {good + "," + good, ""},
		"JSON serialization":   {`{"payload":"` + parts[1] + `","signatures":[{}]}`, ""},
		"JSON with dots":       {`{"payload":"a.b.c"}`, "header"},
		"NUL":                  {good[:10] + "\x00" + good[11:], "header"},
		"placeholder":          {"placeholder.placeholder.placeholder", "header"},
	} {
		t.Run(name, func(t *testing.T) {
			wantReject(t, v, tc.raw, ReasonTxnTokenMalformed, tc.field)
		})
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups for shapeless tokens", n)
	}
}

// Covers VER-02, VER-12.
func TestVerifyEveryCharacterCounts(t *testing.T) {
	v, _ := newTestVerifier(t)
	good := tokenWith(nil)
	wantAccept(t, v, good)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range len(good) {
		if good[i] == '.' {
			continue
		}
		// The lowest bit, which in a segment's last character may be unused, and one
		// that is used.
		at := strings.IndexByte(alphabet, good[i])
		for _, bit := range []int{1, 32} {
			changed := good[:i] + string(alphabet[at^bit]) + good[i+1:]
			if _, err := v.Verify(changed); err == nil {
				t.Errorf("character %d changed and accepted", i)
			}
		}
	}
}

// The other spelling of an ECDSA signature is valid (RFC 7518 does not ask for a low
// s), so that a token service with any signer is understood. It has a fingerprint of
// its own.
//
// Covers VER-02.
func TestVerifyTwinSignatureHasItsOwnFingerprint(t *testing.T) {
	v, _ := newTestVerifier(t)
	raw := tokenWith(nil)
	sig, err := encoding.DecodeString(raw[strings.LastIndexByte(raw, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(order, s).FillBytes(sig[32:])
	twin := wantAccept(t, v, replaceSegment(raw, 2, encoding.EncodeToString(sig)))
	if token := wantAccept(t, v, raw); token.Fingerprint() == twin.Fingerprint() {
		t.Error("two byte strings have one fingerprint")
	}
}

// Covers VER-09.
func TestVerifyForbiddenHeaderParameters(t *testing.T) {
	v, keys := newTestVerifier(t)
	own := testSigners()[ES256].Key().jwk
	for name, value := range map[string]any{
		"jku":  "https://evil.example/jwks",
		"jwk":  own,
		"x5u":  "https://evil.example/chain",
		"x5c":  []string{"MIIB"},
		"crit": []string{"exp"},
		"b64":  false,
		"zip":  "DEF",
	} {
		t.Run(name, func(t *testing.T) {
			wantReject(t, v, tokenWithHeader(map[string]any{name: value}), ReasonTxnTokenInvalid, name)
			wantReject(t, v, tokenWithHeader(map[string]any{name: null}), ReasonTxnTokenInvalid, name)
		})
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups", n)
	}
	wantAccept(t, v, tokenWithHeader(map[string]any{"foo": 1, "cty": "json", "x5t#S256": "AAAA"}))
}

// Covers VER-08, VER-26.
func TestVerifyAlgorithmsThatNeverCount(t *testing.T) {
	v, keys := newTestVerifier(t, WithAlgorithms(ES256, EdDSA, PS256, RS256))
	for _, alg := range []any{
		nil, "", "none", "None", "NONE", "HS256", "HS512", "ES384", "ES512", "ES256K", "RS1", "RS384", "PS512",
		"es256", "eddsa", "Ed25519", "ES256 ", "dir",
	} {
		wantReject(t, v, tokenWithHeader(map[string]any{"alg": alg}), ReasonTxnTokenInvalid, "alg")
	}
	for _, alg := range []any{256, null, []string{"ES256"}} {
		wantReject(t, v, tokenWithHeader(map[string]any{"alg": alg}), ReasonTxnTokenMalformed, "alg")
	}

	// HS256 with the public key as the shared secret.
	signer := testSigners()[ES256]
	der, err := x509.MarshalPKIXPublicKey(signer.Key().Public())
	if err != nil {
		t.Fatal(err)
	}
	header := toJSON(edited(goodHeader(signer), map[string]any{"alg": "HS256"}))
	input := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(toJSON(goodPayload())))
	for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})} {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		wantReject(t, v, input+"."+encoding.EncodeToString(mac.Sum(nil)), ReasonTxnTokenInvalid, "alg")
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups", n)
	}
}

// Covers VER-11, ERR-11.
func TestVerifyStrictJSON(t *testing.T) {
	v, keys := newTestVerifier(t)
	good := toJSON(goodPayload())
	with := func(member string) string { return "{" + member + "," + good[1:] }
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	wantAccept(t, v, tokenWithText(with(`"x":`+deep(MaxDepth-1))))
	wantAccept(t, v, tokenWithText(" {\n\t\r"+good[1:]+" \n"))
	keys.lookups.Store(0)
	for name, text := range map[string]string{
		"duplicate claim":            with(`"aud":"x"`),
		"duplicate by escape":        with(`"\u0061ud":"x"`),
		"duplicate unknown":          with(`"x":1,"x":1`),
		"duplicate nested":           with(`"x":{"a":1,"a":1}`),
		"duplicate in array":         with(`"x":[{"a":1,"\u0061":1}]`),
		"trailing object":            good + "{}",
		"trailing comma":             good[:len(good)-1] + ",}",
		"trailing NUL":               good + "\x00",
		"byte order mark":            "\ufeff" + good,
		"invalid UTF-8":              with("\"x\":\"\xff\""),
		"overlong UTF-8":             with("\"x\":\"\xc0\xaf\""),
		"surrogate in UTF-8":         with("\"x\":\"\xed\xa0\x80\""),
		"invalid UTF-8 in name":      with("\"\xff\":1"),
		"lone high surrogate":        with(`"x":"\ud800"`),
		"high surrogate, then text":  with(`"x":"\ud800abcdef"`),
		"lone low surrogate":         with(`"x":"\udc00"`),
		"two high surrogates":        with(`"x":"\ud800\ud800"`),
		"NaN":                        with(`"x":NaN`),
		"Infinity":                   with(`"x":Infinity`),
		"float overflow":             with(`"x":1e400`),
		"negative float overflow":    with(`"x":-1e400`),
		"integer overflow":           with(`"x":18446744073709551616`),
		"negative integer overflow":  with(`"x":-9223372036854775809`),
		"long integer":               with(`"x":` + strings.Repeat("9", 400)),
		"leading zero":               with(`"x":01`),
		"plus":                       with(`"x":+1`),
		"hexadecimal":                with(`"x":0x1`),
		"bare point":                 with(`"x":1.`),
		"bare exponent":              with(`"x":1e`),
		"too deep arrays":            with(`"x":` + deep(MaxDepth)),
		"too deep objects":           with(`"x":` + strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth)),
		"single quotes":              with(`'x':1`),
		"unquoted name":              with(`x:1`),
		"comment":                    with(`/* */"x":1`),
		"control character":          with("\"x\":\"a\nb\""),
		"unknown escape":             with(`"x":"\x41"`),
		"short escape":               with(`"x":"\u00"`),
		"bad hexadecimal":            with(`"x":"\u00zz"`),
		"array":                      "[" + good + "]",
		"string":                     `"x"`,
		"null":                       "null",
		"nothing":                    " ",
		"unfinished":                 good[:len(good)-1],
		"unfinished string":          `{"x`,
		"unfinished escape":          `{"x\`,
		"missing colon":              with(`"x" 1`),
		"missing value":              with(`"x":`),
		"missing comma":              `{"x":1 ` + good[1:],
		"truncated literal":          with(`"x":tru`),
		"literal with letters":       with(`"x":nullx`),
		"comma first":                `{,` + good[1:],
		"array with trailing comma":  with(`"x":[1,]`),
		"array without comma":        with(`"x":[1 2]`),
		"array closed as an object":  with(`"x":[1}`),
		"unfinished array":           `{"x":[1`,
		"unfinished array, comma":    `{"x":[1,`,
		"unfinished object, comma":   `{"x":1,`,
		"duplicate among very many":  with(manyMembers(60) + `,"m7":1`),
		"duplicate beyond the table": with(manyMembers(60) + `,"m50":1`),
	} {
		t.Run(name, func(t *testing.T) {
			wantReject(t, v, tokenWithText(text), ReasonTxnTokenMalformed, "payload")
		})
	}
	signer := testSigners()[ES256]
	header := toJSON(goodHeader(signer))
	for name, text := range map[string]string{
		"duplicate header parameter": `{"alg":"none",` + header[1:],
		"trailing data in header":    header + "x",
		"array as header":            "[]",
		"invalid UTF-8 in header":    "{\"x\":\"\xff\"," + header[1:],
		"unfinished header":          header[:len(header)-1],
		"bad value in header":        `{"x":?,` + header[1:],
	} {
		t.Run(name, func(t *testing.T) {
			wantReject(t, v, signTexts(signer, text, good), ReasonTxnTokenMalformed, "header")
		})
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups", n)
	}
}

// Every other artefact that is signed somewhere near a TraT, even one signed with
// the TraT key itself, is refused.
//
// Covers VER-05, VER-06, VER-15, VER-26.
func TestVerifyOtherArtefacts(t *testing.T) {
	v, keys := newTestVerifier(t)
	signer := testSigners()[ES256]
	now := testNow.Unix()
	base := map[string]any{"iss": testIssuer, "sub": "u", "aud": testDomain, "iat": now, "exp": now + 60}
	for name, tc := range map[string]struct {
		typ    any
		claims map[string]any
		reason Reason
	}{
		"OAuth access token":        {"at+jwt", edited(base, map[string]any{"client_id": "c", "jti": "j", "scope": "a"}), ReasonTxnTokenInvalid},
		"ID token":                  {"JWT", edited(base, map[string]any{"nonce": "n"}), ReasonTxnTokenInvalid},
		"ID token, no typ":          {nil, base, ReasonTxnTokenInvalid},
		"JWT-SVID":                  {"JOSE", edited(base, map[string]any{"sub": "spiffe://prod.example.org/gw"}), ReasonTxnTokenInvalid},
		"call-chain link":           {"txn-link+jwt", edited(goodPayload(), map[string]any{"rpc": "/a.B/C"}), ReasonTxnTokenInvalid},
		"workload proof":            {"wpt+jwt", goodPayload(), ReasonTxnTokenInvalid},
		"DPoP proof":                {"dpop+jwt", goodPayload(), ReasonTxnTokenInvalid},
		"earlier TraT":              {"txn_token", edited(goodPayload(), map[string]any{"purp": "x", "azd": map[string]any{}}), ReasonTxnTokenInvalid},
		"access token with our typ": {Type, edited(base, map[string]any{"client_id": "c"}), ReasonTxnTokenMalformed},
		"JWT-SVID with our typ":     {Type, edited(base, map[string]any{"aud": []string{testDomain, "x"}}), ReasonTxnTokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			raw := signTexts(signer, toJSON(edited(goodHeader(signer), map[string]any{"typ": tc.typ})), toJSON(tc.claims))
			if _, err := v.Verify(raw); err == nil {
				t.Fatal("accepted")
			} else if reason, _ := ReasonOf(err); reason != tc.reason {
				t.Errorf("reason = %s, want %s", reason, tc.reason)
			}
		})
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups", n)
	}
}

// Covers VER-25.
func TestGarbageCostsNoSignatureOperation(t *testing.T) {
	v, keys := newTestVerifier(t)
	good := tokenWith(nil)
	parts := strings.Split(good, ".")
	unsigned := parts[0] + "." + encoding.EncodeToString([]byte(`{"sub":"x"}`)) + "." + parts[2]
	for i := range 10_000 {
		var raw string
		switch i % 5 {
		case 0:
			raw = strings.Repeat("x", i%MaxSize+1)
		case 1:
			raw = good[:i%len(good)]
		case 2:
			raw = good[i%len(good):] + good
		case 3:
			raw = unsigned
		case 4:
			raw = parts[0] + "." + parts[2] + "." + parts[1]
		}
		if _, err := v.Verify(raw); err == nil {
			t.Fatalf("garbage %d accepted", i)
		}
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups, each directly before a signature operation", n)
	}
}

// A key look-up is the last thing before the signature operation: a key that cannot
// verify anything shows that nothing else was missing.
//
// Covers VER-25.
func TestKeyLookupComesLast(t *testing.T) {
	v, keys := newTestVerifier(t)
	raw := tokenWith(nil)
	wantReject(t, v, replaceSegment(raw, 2, strings.Repeat("A", 86)), ReasonTxnTokenInvalid, "signature")
	if n := keys.lookups.Load(); n != 2 {
		t.Errorf("%d key look-ups for two forged tokens, want 2", n)
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"m` + big.NewInt(int64(i)).String() + `":0`)
	}
	return b.String()
}
