package trat

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Covers VER-02, VER-06, VER-07.
func TestVerifyReturnsTheClaims(t *testing.T) {
	v, _ := newTestVerifier(t)
	raw := tokenWith(map[string]any{"foo": []any{1, "x"}, "nbf": testNow.Unix()})
	token := wantAccept(t, v, raw)
	want := Claims{
		Issuer:             testIssuer,
		Subject:            "d084sdrt234fsaw34tr23t",
		Audience:           testDomain,
		TransactionID:      "97053963-771d-49cc-a4e3-20aad399c312",
		Scope:              Scope{text: "trade.stocks"},
		RequestingWorkload: "spiffe://prod.example.org/gw",
		IssuedAt:           testNow.Add(-time.Second),
		Expiry:             testNow.Add(14 * time.Second),
		TransactionContext: Object{text: `{"action":"BUY","quantity":100,"ticker":"MSFT"}`},
		RequestContext:     Object{text: `{"authn":"face","req_ip":"69.151.72.123"}`},
	}
	if diff := cmp.Diff(want, token.Claims()); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	got := Claims{
		token.Issuer(), token.Subject(), token.Audience(), token.TransactionID(), token.Scope(),
		token.RequestingWorkload(), token.RequestingWorkloadChain(), token.ReplacementCount(), token.TransactionStart(), token.CallChainHash(), token.IssuedAt(), token.Expiry(), token.TransactionContext(), token.RequestContext(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("accessors (-want +got):\n%s", diff)
	}
	if token.UnsafeRaw() != raw || token.Size() != len(raw) || token.KeyID() != testSigners()[ES256].Key().ID() {
		t.Errorf("raw form, size or key ID differ")
	}
}

// Covers VER-03.
func TestVerifyAudience(t *testing.T) {
	v, keys := newTestVerifier(t)
	wantAccept(t, v, tokenWith(map[string]any{"aud": []string{testDomain}}))
	keys.lookups.Store(0)
	for name, tc := range map[string]struct {
		aud    any
		reason Reason
	}{
		"longer":             {testDomain + ".evil", ReasonTxnTokenAudience},
		"shorter":            {testDomain[1:], ReasonTxnTokenAudience},
		"upper case":         {strings.ToUpper(testDomain), ReasonTxnTokenAudience},
		"trailing dot":       {testDomain + ".", ReasonTxnTokenAudience},
		"spiffe form":        {"spiffe://" + testDomain, ReasonTxnTokenAudience},
		"other in array":     {[]string{"other.example"}, ReasonTxnTokenAudience},
		"two, ours first":    {[]string{testDomain, "other.example"}, ReasonTxnTokenMalformed},
		"two, ours last":     {[]string{"other.example", testDomain}, ReasonTxnTokenMalformed},
		"ours twice":         {[]string{testDomain, testDomain}, ReasonTxnTokenMalformed},
		"empty array":        {[]string{}, ReasonTxnTokenMalformed},
		"array in array":     {[]any{[]string{testDomain}}, ReasonTxnTokenMalformed},
		"object":             {map[string]any{"aud": testDomain}, ReasonTxnTokenMalformed},
		"number in an array": {[]any{1}, ReasonTxnTokenMalformed},
		"null":               {null, ReasonTxnTokenMalformed},
		"empty":              {"", ReasonTxnTokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			wantReject(t, v, tokenWith(map[string]any{"aud": tc.aud}), tc.reason, "aud")
		})
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups for tokens of other audiences", n)
	}
}

// Covers VER-04, VER-10.
func TestVerifyTimes(t *testing.T) {
	now := testNow.Unix()
	const day = 24 * 60 * 60
	for name, tc := range map[string]struct {
		iat, exp, nbf int64
		reason        Reason // "" accepts
		field         string
	}{
		"exp within leeway":           {now - 20, now - 4, 0, "", ""},
		"exp at leeway":               {now - 20, now - 5, 0, ReasonTxnTokenExpired, "exp"},
		"exp beyond leeway":           {now - 20, now - 6, 0, ReasonTxnTokenExpired, "exp"},
		"exp long ago":                {now - day, now - day + 15, 0, ReasonTxnTokenExpired, "exp"},
		"iat at leeway":               {now + 5, now + 15, 0, "", ""},
		"iat beyond leeway":           {now + 6, now + 15, 0, ReasonTxnTokenInvalid, "iat"},
		"iat far in the future":       {now + 120, now + 135, 0, ReasonTxnTokenInvalid, "iat"},
		"longest lifetime":            {now, now + 300, 0, "", ""},
		"longest with leeway":         {now, now + 305, 0, "", ""},
		"longer than that":            {now, now + 306, 0, ReasonTxnTokenInvalid, "exp"},
		"a day":                       {now, now + day, 0, ReasonTxnTokenInvalid, "exp"},
		"overflow of nanoseconds":     {0, maxNumericDate, 0, ReasonTxnTokenInvalid, "exp"},
		"ends before it begins":       {now + 2, now + 1, 0, ReasonTxnTokenInvalid, "exp"},
		"no lifetime":                 {now, now, 0, ReasonTxnTokenInvalid, "exp"},
		"nbf passed":                  {now, now + 15, now - 5, "", ""},
		"nbf within leeway":           {now, now + 15, now + 5, "", ""},
		"nbf beyond leeway":           {now, now + 15, now + 6, ReasonTxnTokenInvalid, "nbf"},
		"everything at the year 1970": {0, 15, 0, ReasonTxnTokenExpired, "exp"},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newTestVerifier(t)
			raw := tokenWith(map[string]any{"iat": tc.iat, "exp": tc.exp, "nbf": tc.nbf})
			if tc.reason == "" {
				wantAccept(t, v, raw)
				return
			}
			wantReject(t, v, raw, tc.reason, tc.field)
		})
	}
}

// Covers VER-04.
func TestVerifyComparesSecondsWithoutAcceptingLate(t *testing.T) {
	now := testNow
	v, _ := newTestVerifier(t, WithLeeway(500*time.Millisecond), WithClock(func() time.Time { return now }))
	raw := tokenWith(map[string]any{"iat": testNow.Unix(), "exp": testNow.Unix() + 10})
	for _, tc := range []struct {
		after time.Duration
		ok    bool
	}{
		{-501 * time.Millisecond, false},
		{-500 * time.Millisecond, true},
		{10 * time.Second, true},
		{10*time.Second + 499*time.Millisecond, true},
		{10*time.Second + 500*time.Millisecond, false},
		{5 * time.Second, true}, // the clock may also step back
	} {
		now = testNow.Add(tc.after)
		if _, err := v.Verify(raw); (err == nil) != tc.ok {
			t.Errorf("at %v: error %v, want accepted %v", tc.after, err, tc.ok)
		}
	}
}

// Covers VER-05.
func TestVerifyType(t *testing.T) {
	v, keys := newTestVerifier(t)
	for _, typ := range []string{Type, "TXNTOKEN+JWT", "application/txntoken+jwt", "Application/TxnToken+JWT"} {
		wantAccept(t, v, tokenWithHeader(map[string]any{"typ": typ}))
	}
	keys.lookups.Store(0)
	for _, typ := range []any{
		nil, "", "JWT", "at+jwt", "txn_token", "txn-token+jwt", "txntoken", "application/", "application/application/txntoken+jwt",
		"text/txntoken+jwt", "txntoken+jwt ", " txntoken+jwt", "txnto\u212aen+jwt", "txn-link+jwt",
	} {
		wantReject(t, v, tokenWithHeader(map[string]any{"typ": typ}), ReasonTxnTokenInvalid, "typ")
	}
	for _, typ := range []any{1, null, true, []string{Type}, map[string]any{}} {
		wantReject(t, v, tokenWithHeader(map[string]any{"typ": typ}), ReasonTxnTokenMalformed, "typ")
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups for tokens of other types", n)
	}
}

// Covers VER-06, ERR-11.
func TestVerifyRequiredClaims(t *testing.T) {
	v, keys := newTestVerifier(t)
	values := map[string][]any{
		"iat":    {"1", 1.5e300, -1, true, null, []int{1}, map[string]any{}},
		"exp":    {"1", 1e200, -1, true, null, []int{1}, map[string]any{}},
		"aud":    {1, true, map[string]any{}},
		"txn":    {"", 1, true, null, []string{"x"}, strings.Repeat("x", maxTxnSize+1), "a\nb"},
		"sub":    {"", 1, true, null, []string{"x"}, strings.Repeat("x", maxSubjectSize+1), "a\x00b"},
		"scope":  {"", 1, true, null, []string{"trade.stocks"}, " a", "a ", "a  b", "a\tb", `a"b`, "ä", strings.Repeat("x", MaxScopeSize+1)},
		"req_wl": {"", 1, true, null, []string{"spiffe://prod.example.org/gw"}, "a,b", "a b", strings.Repeat("x", maxWorkloadSize+1), "a\x7f"},
	}
	for _, claim := range requiredClaims {
		t.Run(claim, func(t *testing.T) {
			wantReject(t, v, tokenWith(map[string]any{claim: nil}), ReasonTxnTokenMalformed, claim)
			for _, value := range values[claim] {
				wantReject(t, v, tokenWith(map[string]any{claim: value}), ReasonTxnTokenMalformed, claim)
			}
		})
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups for incomplete tokens", n)
	}
}

// Covers VER-06.
func TestVerifyOptionalClaimsHaveTheirTypes(t *testing.T) {
	v, _ := newTestVerifier(t)
	wantAccept(t, v, tokenWith(map[string]any{"tctx": nil, "rctx": nil}))
	wantAccept(t, v, tokenWith(map[string]any{"tctx": map[string]any{}, "rctx": map[string]any{}}))
	for _, claim := range []string{"tctx", "rctx"} {
		for _, value := range []any{"{}", 1, true, null, []any{}, []any{map[string]any{}}} {
			wantReject(t, v, tokenWith(map[string]any{claim: value}), ReasonTxnTokenMalformed, claim)
		}
	}
	for _, value := range []any{"1", true, null} {
		wantReject(t, v, tokenWith(map[string]any{"nbf": value}), ReasonTxnTokenMalformed, "nbf")
	}
	for _, value := range []any{1, null, "", "https://x\n"} {
		wantReject(t, v, tokenWith(map[string]any{"iss": value}), ReasonTxnTokenMalformed, "iss")
	}
}

// Covers VER-06, VER-11.
func TestVerifyNumericDates(t *testing.T) {
	v, _ := newTestVerifier(t, WithLeeway(0))
	payload := toJSON(edited(goodPayload(), map[string]any{"exp": nil}))
	for text, want := range map[string]struct {
		reason Reason
		exp    int64
	}{
		"1783339210":             {"", 1783339210},
		"1783339210.0":           {"", 1783339210},
		"1783339210.999":         {"", 1783339210}, // never lengthened
		"1.78333921e9":           {ReasonTxnTokenMalformed, 0},
		"1783339210e0":           {ReasonTxnTokenMalformed, 0},
		"-1783339210":            {ReasonTxnTokenMalformed, 0},
		"-0":                     {ReasonTxnTokenMalformed, 0},
		"253402300800":           {ReasonTxnTokenMalformed, 0},
		"18446744073709551615":   {ReasonTxnTokenMalformed, 0},
		`"1783339210"`:           {ReasonTxnTokenMalformed, 0},
		"1783339210.00000000001": {"", 1783339210},
	} {
		raw := tokenWithText(`{"exp":` + text + `,` + payload[1:])
		if want.reason != "" {
			wantReject(t, v, raw, want.reason, "exp")
			continue
		}
		if got := wantAccept(t, v, raw).Expiry().Unix(); got != want.exp {
			t.Errorf("exp %s read as %d, want %d", text, got, want.exp)
		}
	}
	later := tokenWithText(`{"nbf":` + "1783339200.5" + `,` + toJSON(goodPayload())[1:])
	wantReject(t, v, later, ReasonTxnTokenInvalid, "nbf") // 12:00:00.5, and it is 12:00:00
}

// Covers VER-17, ERR-11.
func TestVerifyIssuer(t *testing.T) {
	v, keys := newTestVerifier(t)
	unsafe, _ := newTestVerifier(t, UnsafeAllowMissingIssuer())
	wantReject(t, v, tokenWith(map[string]any{"iss": nil}), ReasonTxnTokenInvalid, "iss")
	if got := wantAccept(t, unsafe, tokenWith(map[string]any{"iss": nil})).Issuer(); got != "" {
		t.Errorf("issuer = %q, want none", got)
	}
	for _, iss := range []string{"https://evil.example", testIssuer + "/", strings.ToUpper(testIssuer), "http" + testIssuer[5:]} {
		wantReject(t, v, tokenWith(map[string]any{"iss": iss}), ReasonTxnTokenInvalid, "iss")
		wantReject(t, unsafe, tokenWith(map[string]any{"iss": iss}), ReasonTxnTokenInvalid, "iss")
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups for tokens of other issuers", n)
	}
}

// renamed is a KeySet that gives the test key of alg any name.
func renamed(alg Algorithm) keySetFunc {
	return func(kid string) (*Key, error) { return testSigners()[alg].Key().withID(kid), nil }
}

// Covers ERR-11, ERR-14, KEY-05.
func TestVerifyKeyLookup(t *testing.T) {
	raw := tokenWith(nil)
	cause := errors.New("the cause")
	for name, tc := range map[string]struct {
		keys   keySetFunc
		reason Reason
		field  string
	}{
		"unknown":         {func(string) (*Key, error) { return nil, errUnknownKey }, ReasonTxnTokenInvalid, "kid"},
		"nil":             {func(string) (*Key, error) { return nil, nil }, ReasonTxnTokenInvalid, "kid"},
		"zero":            {func(string) (*Key, error) { return &Key{}, nil }, ReasonTxnTokenInvalid, "kid"},
		"stale":           {func(string) (*Key, error) { return nil, Errorf(ReasonKeysUnavailable, "", "") }, ReasonKeysUnavailable, ""},
		"no reason":       {func(string) (*Key, error) { return nil, cause }, ReasonKeysUnavailable, ""},
		"empty set":       {(&StaticKeySet{}).Key, ReasonTxnTokenInvalid, "kid"},
		"other algorithm": {renamed(EdDSA), ReasonTxnTokenInvalid, "alg"},
		"right key, other name": {
			func(string) (*Key, error) { return testSigners()[ES256].Key().withID("other"), nil }, ReasonTxnTokenInvalid, "kid",
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := NewVerifier(testDomain, testIssuer, tc.keys, WithClock(fixedClock))
			if err != nil {
				t.Fatal(err)
			}
			wantReject(t, v, raw, tc.reason, tc.field)
		})
	}
}

// Covers VER-09, KEY-01.
func TestVerifyKeyID(t *testing.T) {
	v, keys := newTestVerifier(t)
	wantReject(t, v, tokenWithHeader(map[string]any{"kid": nil}), ReasonTxnTokenInvalid, "kid")
	for _, kid := range []any{"", 1, null, []string{"a"}, "a b", "a\n", "ä", strings.Repeat("x", maxKeyIDSize+1)} {
		wantReject(t, v, tokenWithHeader(map[string]any{"kid": kid}), ReasonTxnTokenMalformed, "kid")
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups without a usable kid", n)
	}
	wantReject(t, v, tokenWithHeader(map[string]any{"kid": "../../x"}), ReasonTxnTokenInvalid, "kid")
}

// Covers VER-02, VER-08.
func TestVerifyEachAlgorithm(t *testing.T) {
	all, _ := newTestVerifier(t, WithAlgorithms(ES256, EdDSA, PS256, RS256))
	onlyES256, _ := newTestVerifier(t)
	for alg, signer := range testSigners() {
		t.Run(string(alg), func(t *testing.T) {
			raw := signTexts(signer, toJSON(goodHeader(signer)), toJSON(goodPayload()))
			wantAccept(t, all, raw)
			if alg == ES256 {
				wantAccept(t, onlyES256, raw)
				return
			}
			wantReject(t, onlyES256, raw, ReasonTxnTokenInvalid, "alg")
		})
	}
}

// Covers VER-08.
func TestVerifyBindsTheAlgorithmToTheKey(t *testing.T) {
	v, _ := newTestVerifier(t, WithAlgorithms(ES256, EdDSA, PS256, RS256))
	short := map[Algorithm]bool{ES256: true, EdDSA: true}
	for signerAlg, signer := range testSigners() {
		for alg := range testSigners() {
			if alg == signerAlg {
				continue
			}
			header := toJSON(edited(goodHeader(signer), map[string]any{"alg": string(alg)}))
			field := "alg"
			if short[alg] != short[signerAlg] {
				field = "signature" // its length tells even before the key is looked up
			}
			wantReject(t, v, signTexts(signer, header, toJSON(goodPayload())), ReasonTxnTokenInvalid, field)
		}
	}
	// An RSA key bound to one padding does not verify the other, whatever the token
	// says.
	pss, pkcs1 := testSigners()[PS256], testSigners()[RS256]
	crossed := &Signer{signer: pss.signer, key: &Key{id: pss.key.id, alg: RS256}}
	header := toJSON(goodHeader(pss))
	wantReject(t, v, signTexts(crossed, header, toJSON(goodPayload())), ReasonTxnTokenInvalid, "signature")
	crossed = &Signer{signer: pkcs1.signer, key: &Key{id: pkcs1.key.id, alg: PS256}}
	header = toJSON(goodHeader(pkcs1))
	wantReject(t, v, signTexts(crossed, header, toJSON(goodPayload())), ReasonTxnTokenInvalid, "signature")
}

// Covers VER-02.
func TestVerifyWrongKeyOrSignature(t *testing.T) {
	v, _ := newTestVerifier(t, WithAlgorithms(ES256, EdDSA, PS256, RS256))
	for alg, signer := range testSigners() {
		raw := signTexts(signer, toJSON(goodHeader(signer)), toJSON(goodPayload()))
		other := signTexts(signer, toJSON(goodHeader(signer)), toJSON(edited(goodPayload(), map[string]any{"sub": "x"})))
		sig := raw[strings.LastIndexByte(raw, '.')+1:]
		for name, segment := range map[string]string{
			"of another token": other[strings.LastIndexByte(other, '.')+1:],
			"short":            sig[:40],
			"one byte":         "AA",
			"long":             sig + "AAAA",
			"zeros":            strings.Repeat("A", len(sig)),
		} {
			t.Run(string(alg)+" "+name, func(t *testing.T) {
				wantReject(t, v, replaceSegment(raw, 2, segment), ReasonTxnTokenInvalid, "signature")
			})
		}
	}
}

// Covers VER-17.
func TestNewVerifierReportsEveryProblemAtOnce(t *testing.T) {
	_, err := NewVerifier("Not A Domain", "http://x", nil,
		WithLeeway(-1), WithMaxLifetime(time.Hour), WithAlgorithms(), WithClock(nil), WithCacheSize(-1), nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{
		"trustDomain", "issuer", "keys", "WithLeeway", "WithMaxLifetime", "WithAlgorithms", "WithClock", "WithCacheSize", "opts",
	} {
		if !strings.Contains(err.Error(), string(ReasonParameterInvalid)+": "+field) {
			t.Errorf("error does not name %s: %v", field, err)
		}
	}
}

// Covers VER-08, VER-10, VER-17.
func TestNewVerifierRefuses(t *testing.T) {
	keys := testKeys(t)
	for name, tc := range map[string]struct {
		domain, issuer string
		opt            VerifierOption
	}{
		"no trust domain":        {"", testIssuer, WithLeeway(0)},
		"URL as trust domain":    {"spiffe://x", testIssuer, WithLeeway(0)},
		"long trust domain":      {strings.Repeat("x", 256), testIssuer, WithLeeway(0)},
		"no issuer":              {testDomain, "", WithLeeway(0)},
		"relative issuer":        {testDomain, "tts", WithLeeway(0)},
		"issuer with a query":    {testDomain, testIssuer + "?a=b", WithLeeway(0)},
		"issuer with a fragment": {testDomain, testIssuer + "#", WithLeeway(0)},
		"issuer with a user":     {testDomain, "https://u@tts", WithLeeway(0)},
		"issuer without host":    {testDomain, "https:///x", WithLeeway(0)},
		"no issuer, unsafe":      {testDomain, "", UnsafeAllowMissingIssuer()},
		"leeway beyond a minute": {testDomain, testIssuer, WithLeeway(MaxLeeway + 1)},
		"no lifetime":            {testDomain, testIssuer, WithMaxLifetime(0)},
		"alg none":               {testDomain, testIssuer, WithAlgorithms(ES256, "none")},
		"HMAC":                   {testDomain, testIssuer, WithAlgorithms("HS256")},
		"huge cache":             {testDomain, testIssuer, WithCacheSize(maxCacheSize + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewVerifier(tc.domain, tc.issuer, keys, tc.opt); !errors.Is(err, ReasonParameterInvalid) {
				t.Errorf("error = %v, want %s", err, ReasonParameterInvalid)
			}
		})
	}
	failed, _ := ParseJWKS([]byte("not JSON"))
	if _, err := NewVerifier(testDomain, testIssuer, failed); !errors.Is(err, ReasonParameterInvalid) {
		t.Errorf("with a nil set: error = %v, want %s", err, ReasonParameterInvalid)
	}
	v, err := NewVerifier(testDomain, testIssuer, keys)
	if err != nil || v.TrustDomain() != testDomain || v.Issuer() != testIssuer {
		t.Errorf("NewVerifier = %v, %v", v, err)
	}
}
