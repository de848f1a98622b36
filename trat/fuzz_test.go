package trat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// oracle verifies raw with go-jose, whose JSON reader minds duplicates and case, and
// compares what it reads.
func oracle(t *testing.T, raw string, k *Key, got Claims) {
	t.Helper()
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.alg)})
	if err != nil {
		if ignoresParameters(t, raw) {
			return // go-jose also checks parameters that mean nothing here, such as nonce
		}
		t.Fatalf("go-jose does not read what was accepted: %v", err)
	}
	var theirs struct {
		Iss   string           `json:"iss"`
		Sub   string           `json:"sub"`
		Aud   jwt.Audience     `json:"aud"`
		Txn   string           `json:"txn"`
		Scope string           `json:"scope"`
		ReqWL string           `json:"req_wl"`
		Chain []string         `json:"req_wl_chain"`
		Count int              `json:"rpl_cnt"`
		Start *jwt.NumericDate `json:"txn_iat"`
		Chn   string           `json:"chn"`
		Iat   jwt.NumericDate  `json:"iat"`
		Exp   jwt.NumericDate  `json:"exp"`
		Tctx  json.RawMessage  `json:"tctx"`
		Rctx  json.RawMessage  `json:"rctx"`
	}
	if err := parsed.Claims(k.Public(), &theirs); err != nil {
		t.Fatalf("go-jose does not verify and read what was accepted: %v", err)
	}
	if len(theirs.Aud) != 1 {
		t.Fatalf("accepted with %d audiences", len(theirs.Aud))
	}
	object := func(text []byte) Object {
		if text == nil {
			return Object{}
		}
		return mustObject(t, string(text))
	}
	want := Claims{
		Issuer: theirs.Iss, Subject: theirs.Sub, Audience: theirs.Aud[0], TransactionID: theirs.Txn,
		Scope: Scope{text: theirs.Scope}, RequestingWorkload: theirs.ReqWL,
		IssuedAt: theirs.Iat.Time().UTC(), Expiry: theirs.Exp.Time().UTC(),
		TransactionContext: object(theirs.Tctx), RequestContext: object(theirs.Rctx),
	}
	if len(theirs.Chain) > 0 {
		want.RequestingWorkloadChain = WorkloadChain{text: strings.Join(theirs.Chain, " ")}
		want.ReplacementCount, want.TransactionStart = theirs.Count, theirs.Start.Time().UTC()
	}
	if theirs.Chn != "" {
		hash, err := base64.RawURLEncoding.DecodeString(theirs.Chn)
		if err != nil || copy(want.CallChainHash[:], hash) != len(want.CallChainHash) {
			t.Fatalf("accepted chn %q", theirs.Chn)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("accepted %q as something else", raw)
	}
}

// ignoresParameters reports whether the header of raw has parameters that this
// package ignores (RFC 7515 section 4).
func ignoresParameters(t *testing.T, raw string) bool {
	t.Helper()
	text, err := encoding.DecodeString(raw[:strings.IndexByte(raw, '.')])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatalf("encoding/json does not read a header that was accepted: %v", err)
	}
	for _, known := range []string{"typ", "alg", "kid"} {
		delete(members, known)
	}
	return len(members) > 0
}

// checkVerify verifies raw twice and holds the outcome to its invariants.
func checkVerify(t *testing.T, v *Verifier, keys KeySet, raw string) {
	t.Helper()
	token, err := v.Verify(raw)
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok || token != nil {
			t.Fatalf("Verify = %v, %v", token, err)
		}
		return
	}
	again, err := v.Verify(raw)
	if err != nil || !reflect.DeepEqual(again.Claims(), token.Claims()) || again.Fingerprint() != token.Fingerprint() {
		t.Fatalf("the second time: %v, %v", again, err)
	}
	c := token.Claims()
	if c.Audience != testDomain || c.Issuer != testIssuer || c.Subject == "" || c.TransactionID == "" ||
		c.Scope.IsZero() || c.RequestingWorkload == "" || !c.Expiry.After(testNow.Add(-DefaultLeeway)) {
		t.Fatalf("accepted without a required claim")
	}
	k, err := keys.Key(token.KeyID())
	if err != nil {
		t.Fatal(err)
	}
	oracle(t, raw, k, c)
	u, err := ParseUnverified(raw)
	if err != nil || !reflect.DeepEqual(u.Claims(), c) {
		t.Fatalf("ParseUnverified reads it differently: %v", err)
	}
}

// FuzzVerify signs what the fuzzer writes, so that it reaches every check, and adds
// what it likes to the compact form.
func FuzzVerify(f *testing.F) {
	v, _ := newTestVerifier(f, WithAlgorithms(ES256, EdDSA))
	keys := testKeys(f)
	signer := testSigners()[EdDSA] // the fastest
	header, payload := toJSON(goodHeader(signer)), toJSON(goodPayload())
	f.Add(header, payload, "")
	f.Add(strings.Replace(header, Type, "application/TXNTOKEN+jwt", 1), " "+payload+" ", "")
	f.Add(header[:len(header)-1]+`,"x5t":"a","nonce":1}`, payload, "")
	f.Add(header, `{"aud":["prod.example.org"],`+strings.Replace(payload, `"aud":"prod.example.org",`, "", 1)[1:], "")
	f.Add(header, `{"exp":1783339210.5,`+strings.Replace(payload, `"exp":1783339214,`, "", 1)[1:], "")
	f.Add(header, `{"\u0074ctx":{"a":[1,{"b":"\ud835\udcb3"}]},"nbf":1,`+strings.Replace(payload, `"tctx":`, `"x":`, 1)[1:], "")
	f.Add(header, `{"req_wl_chain":["spiffe://prod.example.org/edge","spiffe://prod.example.org/gw"],"rpl_cnt":1,"txn_iat":1783339190.5,`+payload[1:], "")
	f.Add(header, `{"req_wl_chain":["spiffe://prod.example.org/edge","spiffe://prod.example.org/gw"],"rpl_cnt":1,"txn_iat":1783339190,"chn":"`+someHash+`",`+payload[1:], "")
	f.Add(header, `{"req_wl_chain":["spiffe://prod.example.org/gw"],"rpl_cnt":0,"txn_iat":1783339190,`+payload[1:], "")
	f.Add(header, payload[:len(payload)-1], "")
	f.Add(header, payload, ".")
	f.Fuzz(func(t *testing.T, header, payload, suffix string) {
		checkVerify(t, v, keys, signTexts(signer, header, payload)+suffix)
	})
}

// FuzzVerifyCompact feeds raw texts.
func FuzzVerifyCompact(f *testing.F) {
	v, _ := newTestVerifier(f, WithAlgorithms(ES256, EdDSA, PS256, RS256))
	keys := testKeys(f)
	for _, signer := range testSigners() {
		f.Add(signTexts(signer, toJSON(goodHeader(signer)), toJSON(goodPayload())))
	}
	f.Add("")
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.AAAA")
	f.Fuzz(func(t *testing.T, raw string) { checkVerify(t, v, keys, raw) })
}

// What ParseJWKS accepts go-jose accepts, with the same keys; what it then writes it
// reads again.
func FuzzParseJWKS(f *testing.F) {
	f.Add(testKeys(f).JWKS())
	f.Add(testJWKS(testJWK(map[string]any{"alg": nil, "use": nil, "key_ops": []string{"verify"}, "x": "AA"})))
	f.Add(testJWKS(testJWK(map[string]any{"alg": nil, "use": nil, "key_ops": []string{"verify"}})))
	f.Add(testJWKS(testJWK(map[string]any{"d": "AA"})))
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA","kid":"a"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := ParseJWKS(text)
		if err != nil {
			if !errors.Is(err, ReasonParameterInvalid) || set != nil {
				t.Fatalf("ParseJWKS = %v, %v", set, err)
			}
			return
		}
		var theirs jose.JSONWebKeySet
		if err := json.Unmarshal(text, &theirs); err != nil {
			t.Fatalf("go-jose refuses %q: %v", text, err)
		}
		keys := set.Keys()
		if len(theirs.Keys) != len(keys) {
			t.Fatalf("%d keys, go-jose has %d", len(keys), len(theirs.Keys))
		}
		for _, k := range keys {
			i := slices.IndexFunc(theirs.Keys, func(their jose.JSONWebKey) bool { return their.KeyID == k.ID() })
			if i < 0 || !theirs.Keys[i].Valid() || !theirs.Keys[i].IsPublic() ||
				!reflect.DeepEqual(theirs.Keys[i].Key, k.Public()) {
				t.Errorf("go-jose reads key %q differently", k.ID())
			}
		}
		again, err := ParseJWKS(set.JWKS())
		if err != nil || !bytes.Equal(again.JWKS(), set.JWKS()) {
			t.Errorf("%q does not read back: %v", set.JWKS(), err)
		}
	})
}

// What Prepare accepts a Verifier accepts once it is signed, with the same claims.
func FuzzPrepare(f *testing.F) {
	signer := testSigners()[EdDSA]
	f.Add("sub", "txn", "scope", "spiffe://x/y", int64(1783339200), int64(15), `{"a":1}`)
	f.Add("s\"u\\b", "ü", "a b", "gw", int64(0), int64(300), "{}")
	f.Add("\xff", "\x7f", "a  b", "a,b", int64(-1), int64(0), "")
	f.Fuzz(func(t *testing.T, sub, txn, scope, workload string, iat, lifetime int64, tctx string) {
		c := Claims{
			Issuer: testIssuer, Subject: sub, Audience: testDomain, TransactionID: txn, RequestingWorkload: workload,
			IssuedAt: time.Unix(iat, 0).UTC(), Expiry: time.Unix(iat+lifetime, 0).UTC(),
		}
		var err error
		if c.Scope, err = ParseScope(scope); err != nil {
			return
		}
		if c.TransactionContext, err = ParseObject(tctx); err != nil {
			c.TransactionContext = Object{}
		}
		u, err := Prepare(c)
		if err != nil {
			return
		}
		raw, err := signer.Sign(u)
		if errors.Is(err, ReasonTokenTooLarge) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		v, _ := newTestVerifier(t, WithAlgorithms(EdDSA), WithClock(func() time.Time { return c.IssuedAt }))
		token, err := v.Verify(raw)
		if err != nil {
			t.Fatalf("prepared, signed and refused: %v", err)
		}
		if !reflect.DeepEqual(token.Claims(), c) {
			t.Errorf("signed %#v", c.Subject)
		}
	})
}
