package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// exchangeRules is the size of the policy that the budget of an exchange is for.
const exchangeRules = 4

// canned is a TokenService that answers every exchange with the same response: what an
// exchange costs when nothing is decided, verified or signed.
type canned struct {
	tratv1.UnimplementedTokenServiceServer
	response *tratv1.ExchangeResponse
}

func (c canned) Exchange(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	return c.response, nil
}

// measureExchange holds an exchange to the sum of its parts: the bare mTLS call with the
// same bytes, the RS256 verification of an access token and a P-256 signature. Access
// tokens are never remembered, so each of the pool is as good as never seen before. CPU
// time is that of client and server together, in the call as in the exchange.
func measureExchange(rounds int) ([]row, error) {
	var ratios []float64
	var exchanges, calls, verifies, signs timings
	for range max(4, rounds/3) {
		w, err := newExchangeWorld(exchangeRules, trat.ES256)
		if err != nil {
			return nil, err
		}
		costs, err := w.compareWithParts()
		w.stop()
		if err != nil {
			return nil, err
		}
		exchange, call, verify, sign := costs["exchange"].median(), costs["call"].median(), costs["verify"].median(), costs["sign"].median()
		ratios = append(ratios, float64(exchange)/float64(call+verify+sign))
		exchanges, calls = append(exchanges, exchange), append(calls, call)
		verifies, signs = append(verifies, verify), append(signs, sign)
	}
	return []row{
		{name: "exchange, CPU", value: micros(exchanges.median()), unit: " us"},
		{name: "exchange, bare mTLS call with the same bytes, CPU", value: micros(calls.median()), unit: " us"},
		{name: "exchange, RS256 verify, CPU", value: micros(verifies.median()), unit: " us"},
		{name: "exchange, P-256 sign, CPU", value: micros(signs.median()), unit: " us"},
		{name: "exchange / sum of these three", value: middle(ratios), unit: "x", budget: 1.5},
	}, nil
}

// compareWithParts measures the exchange and its parts in turns.
func (w *exchangeWorld) compareWithParts() (map[string]timings, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	client, err := w.dialTokenService(w.addr)
	if err != nil {
		return nil, err
	}
	response, err := client.Exchange(ctx, w.request(0))
	if err != nil {
		return nil, err
	}
	addr, err := w.serveTokenService(func(r grpc.ServiceRegistrar) {
		tratv1.RegisterTokenServiceServer(r, canned{response: response})
	})
	if err != nil {
		return nil, err
	}
	bareClient, err := w.dialTokenService(addr)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(response.GetAccessToken()))
	exchangeWith := func(c tratv1.TokenServiceClient) func(int) error {
		return func(i int) error {
			_, err := c.Exchange(ctx, w.request(i))
			return err
		}
	}
	return compare(8, 25*time.Millisecond,
		subject{"exchange", exchangeWith(client)},
		subject{"call", exchangeWith(bareClient)},
		subject{"verify", func(i int) error { return verifyRS256(&w.provider.key.PublicKey, w.tokens[i%len(w.tokens)]) }},
		subject{"sign", func(int) error {
			_, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
			return err
		}})
}

// verifyRS256 is the primitive alone: one hash, one RSA operation.
func verifyRS256(key *rsa.PublicKey, token string) error {
	dot := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(token[:dot]))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig)
}

// measureExchangeLoad reports how many tokens one second of the service's CPU makes, and
// how long callers wait, with the callers in a process of their own.
func measureExchangeLoad(rounds int) ([]row, error) {
	length := time.Duration(rounds) * 75 * time.Millisecond
	var rows []row
	for _, c := range []struct {
		label   string
		rules   int
		alg     trat.Algorithm
		callers int
	}{
		{"4 rules", 4, trat.ES256, 1},
		{"4 rules", 4, trat.ES256, 8},
		{"4 rules", 4, trat.ES256, 32},
		{"100 rules", 100, trat.ES256, 8},
		{"1,000 rules", 1000, trat.ES256, 8},
		{"4 rules, RS256 signatures", 4, trat.RS256, 8},
	} {
		r, err := loadOnce(c.rules, c.alg, c.callers, length)
		if err != nil {
			return nil, fmt.Errorf("%s, %d callers: %w", c.label, c.callers, err)
		}
		name := fmt.Sprintf("exchange load, %s, callers: %d, ", c.label, c.callers)
		rows = append(rows,
			row{name: name + "tokens per server CPU second", value: r.perCPUSecond},
			row{name: name + "p50", value: r.p50 * 1e3, unit: " ms"},
			row{name: name + "p99", value: r.p99 * 1e3, unit: " ms"})
	}
	return rows, nil
}

// measurePolicySize compares decisions under policies that differ only in the number of
// rules for other requesters.
func measurePolicySize(rounds int) ([]row, error) {
	few, err := decisionUnder(10)
	if err != nil {
		return nil, err
	}
	many, err := decisionUnder(1000)
	if err != nil {
		return nil, err
	}
	costs, err := compare(rounds, tokenTurn, subject{"few", few}, subject{"many", many})
	if err != nil {
		return nil, err
	}
	return []row{
		{name: "policy decision, 10 rules", value: micros(costs["few"].median()), unit: " us"},
		{name: "policy decision, 1,000 rules", value: micros(costs["many"].median()), unit: " us"},
		{name: "policy decision, 1,000 rules / 10 rules", value: costs["many"].over(costs["few"]), unit: "x", budget: 1.2},
	}, nil
}

// percentile returns the p-th part of the durations, which it sorts.
func percentile(d []time.Duration, p float64) (time.Duration, error) {
	if len(d) == 0 {
		return 0, errors.New("nothing was measured")
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(p*float64(len(d))))], nil
}
