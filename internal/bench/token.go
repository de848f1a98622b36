package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	tokenTurn = 20 * time.Millisecond
	// freshTokens is how many tokens there are to verify in turn, far more than the
	// smallest cache holds, so that none is there when it comes round again.
	freshTokens = 512
)

// tokens are what the token measurements work on.
type tokens struct {
	now      time.Time
	key      *ecdsa.PrivateKey
	signer   *trat.Signer
	keys     *trat.StaticKeySet
	claims   trat.Claims
	raw      []string
	input    [][]byte // signing inputs of raw
	sig      [][]byte // signatures of raw, in ASN.1
	verified *trat.Verifier
	fresh    *trat.Verifier
}

// exampleClaims are those of the draft's example (section 9.2), with an issuer and a
// SPIFFE ID.
func exampleClaims(now time.Time) (trat.Claims, error) {
	scope, err1 := trat.ParseScope("trade.stocks")
	tctx, err2 := trat.ParseObject(`{"action":"BUY","ticker":"MSFT","quantity":"100","customer_type":{"geo":"US","level":"VIP"}}`)
	rctx, err3 := trat.ParseObject(`{"req_ip":"69.151.72.123","authn":"face"}`)
	return trat.Claims{
		Issuer:             "https://tts.trust-domain.example",
		Subject:            "d084sdrt234fsaw34tr23t",
		Audience:           "trust-domain.example",
		TransactionID:      "97053963-771d-49cc-a4e3-20aad399c312",
		Scope:              scope,
		RequestingWorkload: "spiffe://trust-domain.example/apigateway",
		IssuedAt:           now,
		Expiry:             now.Add(trat.MaxLifetime),
		TransactionContext: tctx,
		RequestContext:     rctx,
	}, errors.Join(err1, err2, err3)
}

func newTokens() (*tokens, error) {
	t := &tokens{now: time.Now().Truncate(time.Second)}
	var err error
	if t.claims, err = exampleClaims(t.now); err != nil {
		return nil, err
	}
	if t.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if t.signer, err = trat.NewSigner(t.key, trat.ES256); err != nil {
		return nil, err
	}
	if t.keys, err = trat.NewStaticKeySet(t.signer.Key()); err != nil {
		return nil, err
	}
	clock := trat.WithClock(func() time.Time { return t.now })
	if t.verified, err = trat.NewVerifier(t.claims.Audience, t.claims.Issuer, t.keys, clock); err != nil {
		return nil, err
	}
	// With a cache, so that its upkeep is part of the cost, but one that forgets.
	if t.fresh, err = trat.NewVerifier(t.claims.Audience, t.claims.Issuer, t.keys, clock, trat.WithCacheSize(1)); err != nil {
		return nil, err
	}
	return t, nil
}

// fill signs the tokens to be verified.
func (t *tokens) fill() error {
	for i := range freshTokens {
		claims := t.claims
		claims.TransactionID = claims.TransactionID[:32] + strconv.Itoa(1000+i)
		if err := t.add(claims); err != nil {
			return err
		}
	}
	return nil
}

// add signs a token and takes it apart.
func (t *tokens) add(claims trat.Claims) error {
	raw, err := t.sign(claims)
	if err != nil {
		return err
	}
	dot := strings.LastIndexByte(raw, '.')
	sig, err := base64.RawURLEncoding.DecodeString(raw[dot+1:])
	if err != nil {
		return err
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
	if err != nil {
		return err
	}
	t.raw, t.input, t.sig = append(t.raw, raw), append(t.input, []byte(raw[:dot])), append(t.sig, der)
	return nil
}

func (t *tokens) sign(claims trat.Claims) (string, error) {
	unsigned, err := trat.Prepare(claims)
	if err != nil {
		return "", err
	}
	return t.signer.Sign(unsigned)
}

// bareVerify is the least that a verification can cost.
func (t *tokens) bareVerify(i int) error {
	i %= freshTokens
	digest := sha256.Sum256(t.input[i])
	if !ecdsa.VerifyASN1(&t.key.PublicKey, digest[:], t.sig[i]) {
		return errors.New("signature does not verify")
	}
	return nil
}

func (t *tokens) bareSign(i int) error {
	digest := sha256.Sum256(t.input[i%freshTokens])
	_, err := ecdsa.SignASN1(rand.Reader, t.key, digest[:])
	return err
}

func (t *tokens) verifyFresh(i int) error {
	_, err := t.fresh.Verify(t.raw[i%freshTokens])
	return err
}

func (t *tokens) verifyCached(int) error {
	_, err := t.verified.Verify(t.raw[0])
	return err
}

// measureTokens measures single tokens, without a network.
func measureTokens(rounds int) ([]row, error) {
	t, err := newTokens()
	if err != nil {
		return nil, err
	}
	if err := t.fill(); err != nil {
		return nil, err
	}
	peers, err := newPeers(t)
	if err != nil {
		return nil, err
	}
	subjects := []subject{{"bare", t.bareVerify}, {"fresh", t.verifyFresh}}
	costs, err := compare(2*rounds, tokenTurn, append(subjects, peers...)...)
	if err != nil {
		return nil, err
	}
	rows := []row{
		{name: "token size, the draft's example", value: float64(len(t.raw[0])), unit: " B", budget: 700},
		{name: "verify fresh", value: micros(costs["fresh"].median()), unit: " us"},
		{name: "verify fresh / bare P-256 and SHA-256", value: costs["fresh"].over(costs["bare"]), unit: "x", budget: 1.35},
	}
	for _, p := range peers {
		rows = append(rows, row{
			name: "verify fresh / " + p.name, value: costs["fresh"].over(costs[p.name]), unit: "x", budget: 1, below: true,
		})
	}
	more, err := compare(rounds, tokenTurn,
		subject{"cached", t.verifyCached},
		subject{"bare sign", t.bareSign},
		subject{"sign", func(int) error { _, err := t.sign(t.claims); return err }},
	)
	if err != nil {
		return nil, err
	}
	allocations := testing.AllocsPerRun(1000, func() {
		if e := t.verifyCached(0); e != nil {
			err = e
		}
	})
	return append(rows,
		row{name: "verify cached", value: micros(more["cached"].median()), unit: " us", budget: 2},
		row{name: "verify cached, allocations", value: allocations, budget: 4},
		row{name: "sign / bare P-256 and SHA-256", value: more["sign"].over(more["bare sign"]), unit: "x", budget: 1.4},
	), err
}
