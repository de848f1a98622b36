package trat_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// exampleTime stands for time.Now.
func exampleTime() time.Time { return time.Date(2026, time.July, 6, 12, 0, 0, 0, time.UTC) }

// exampleToken plays the token service: it returns a token and the JWK Set that
// verifies it.
func exampleToken() (token string, jwks []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := trat.NewSigner(key, trat.ES256)
	if err != nil {
		log.Fatal(err)
	}
	scope, err := trat.ParseScope("trade.stocks")
	if err != nil {
		log.Fatal(err)
	}
	parameters, err := trat.NewObject(map[string]any{"action": "BUY", "ticker": "MSFT", "quantity": 100})
	if err != nil {
		log.Fatal(err)
	}
	unsigned, err := trat.Prepare(trat.Claims{
		Issuer:             "https://tts.prod.example.org",
		Subject:            "d084sdrt234fsaw34tr23t",
		Audience:           "prod.example.org",
		TransactionID:      rand.Text(),
		Scope:              scope,
		RequestingWorkload: "spiffe://prod.example.org/gateway",
		IssuedAt:           exampleTime(),
		Expiry:             exampleTime().Add(trat.DefaultLifetime),
		TransactionContext: parameters,
	})
	if err != nil {
		log.Fatal(err)
	}
	if token, err = signer.Sign(unsigned); err != nil {
		log.Fatal(err)
	}
	set, err := trat.NewStaticKeySet(signer.Key())
	if err != nil {
		log.Fatal(err)
	}
	return token, set.JWKS()
}

func ExampleNewVerifier() {
	raw, jwks := exampleToken()

	keys, err := trat.ParseJWKS(jwks)
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := trat.NewVerifier("prod.example.org", "https://tts.prod.example.org", keys,
		trat.WithClock(exampleTime))
	if err != nil {
		log.Fatal(err)
	}
	token, err := verifier.Verify(raw)
	if err != nil {
		log.Fatal(err)
	}
	quantity, _ := token.TransactionContext().Int64("quantity")
	fmt.Println("may trade:", token.Scope().Contains("trade.stocks"))
	fmt.Println("quantity:", quantity)

	_, err = verifier.Verify(raw[:len(raw)-1])
	fmt.Println("cut short:", errors.Is(err, trat.ReasonTxnTokenMalformed) || errors.Is(err, trat.ReasonTxnTokenInvalid))
	// Output:
	// may trade: true
	// quantity: 100
	// cut short: true
}

func ExampleNewSigner() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := trat.NewSigner(key, trat.ES256)
	if err != nil {
		log.Fatal(err)
	}
	scope, err := trat.ParseScope("trade.stocks")
	if err != nil {
		log.Fatal(err)
	}
	unsigned, err := trat.Prepare(trat.Claims{
		Issuer:             "https://tts.prod.example.org",
		Subject:            "d084sdrt234fsaw34tr23t",
		Audience:           "prod.example.org",
		TransactionID:      rand.Text(),
		Scope:              scope,
		RequestingWorkload: "spiffe://prod.example.org/gateway",
		IssuedAt:           exampleTime(),
		Expiry:             exampleTime().Add(trat.DefaultLifetime),
	})
	if err != nil {
		log.Fatal(err)
	}
	raw, err := signer.Sign(unsigned)
	if err != nil {
		log.Fatal(err)
	}
	signed, err := trat.ParseUnverified(raw)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signed.Algorithm(), signed.Claims().Scope, signed.Claims().Expiry.Format(time.TimeOnly))

	_, err = signer.Sign(unsigned)
	fmt.Println("again:", err)
	// Output:
	// ES256 trade.stocks 12:00:15
	// again: INTERNAL: unsigned token is nil, not from Prepare or already signed
}

func ExampleObject() {
	o, err := trat.ParseObject(`{ "customer": { "level": "VIP" }, "amount": 9007199254740993 }`)
	if err != nil {
		log.Fatal(err)
	}
	level, _ := o.Text("customer", "level")
	amount, _ := o.Int64("amount")
	fmt.Println(level, amount)
	fmt.Println(o) // values may be personal
	fmt.Println(o.JSON())
	// Output:
	// VIP 9007199254740993
	// trat.Object(54 bytes)
	// {"customer":{"level":"VIP"},"amount":9007199254740993}
}
