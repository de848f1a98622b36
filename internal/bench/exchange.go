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
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// exchangeRules is the size of the policy that the budget of an exchange is for.
	exchangeRules = 4
	// exchangeCallers call at once, each so many times in a row.
	exchangeCallers = 8
	exchangeEach    = 8
	// serviceGC is the GOGC that tratd runs with.
	serviceGC = 400
)

// floor is a TokenService that does what no other can do without: it verifies the RS256
// signature of the access token, makes a P-256 signature, and answers with so many bytes.
// Both can be left away.
type floor struct {
	tratv1.UnimplementedTokenServiceServer
	response *tratv1.ExchangeResponse
	verify   *rsa.PublicKey
	sign     *ecdsa.PrivateKey
}

func (f floor) Exchange(_ context.Context, req *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	if f.verify != nil {
		if err := verifyRS256(f.verify, req.GetSubjectToken()); err != nil {
			return nil, err
		}
	}
	if f.sign != nil {
		if err := signP256(f.sign, f.response.GetAccessToken()); err != nil {
			return nil, err
		}
	}
	return f.response, nil
}

// measureExchange holds an exchange to the sum of its parts: the bare mTLS call with the
// same bytes, the RS256 verification of an access token and a P-256 signature. Access
// tokens are never remembered, so each of the pool is as good as never seen before. CPU
// time is that of client and server together, with several callers at once: a single one
// leaves the cores idle between the steps of a call, and looking for work is CPU time too.
//
// The parts cost less by themselves than in one call, where the caller sleeps while they
// are made and stacks grow for them. How much of the ratio that is, the last row tells: it
// compares with a handler that makes both and nothing else.
func measureExchange(rounds int) ([]row, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(serviceGC))
	costs := make(map[string]timings)
	var sums, floors []float64
	for range max(6, rounds/2) {
		w, err := newExchangeWorld(exchangeRules, trat.ES256)
		if err != nil {
			return nil, err
		}
		one, err := w.compareWithParts()
		w.stop()
		if err != nil {
			return nil, err
		}
		for name, t := range one {
			costs[name] = append(costs[name], t.median())
		}
		parts := one["call"].median() + one["verify"].median() + one["sign"].median()
		sums = append(sums, float64(one["exchange"].median())/float64(parts))
		floors = append(floors, one["exchange"].over(one["floor"]))
	}
	cost := func(name string) float64 { return micros(costs[name].median()) / (exchangeCallers * exchangeEach) }
	return []row{
		{name: "exchange, CPU", value: cost("exchange"), unit: " us"},
		{name: "exchange, bare mTLS call with the same bytes, CPU", value: cost("call"), unit: " us"},
		{name: "exchange, RS256 verify, CPU", value: cost("verify"), unit: " us"},
		{name: "exchange, P-256 sign, CPU", value: cost("sign"), unit: " us"},
		{name: "exchange, the call with both in its handler, CPU", value: cost("floor"), unit: " us"},
		{name: "exchange / call + verify + sign", value: middle(sums), unit: "x", budget: 1.5},
		{name: "exchange / the call with both in its handler", value: middle(floors), unit: "x"},
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public := &w.provider.key.PublicKey
	floorClient, err := w.serveFloor(floor{response: response, verify: public, sign: key})
	if err != nil {
		return nil, err
	}
	bareClient, err := w.serveFloor(floor{response: response})
	if err != nil {
		return nil, err
	}
	calling := func(name string, c tratv1.TokenServiceClient) subject {
		return together(subject{name, func(i int) error {
			_, err := c.Exchange(ctx, w.request(i))
			return err
		}})
	}
	return compare(8, 50*time.Millisecond,
		calling("exchange", client),
		calling("floor", floorClient),
		calling("call", bareClient),
		together(subject{"verify", func(i int) error { return verifyRS256(public, w.tokens[i%len(w.tokens)]) }}),
		together(subject{"sign", func(int) error { return signP256(key, response.GetAccessToken()) }}))
}

// together is a subject that makes one call of s on each of exchangeCallers goroutines,
// exchangeEach times.
func together(s subject) subject {
	return subject{s.name, func(i int) error {
		errs := make([]error, exchangeCallers)
		var group sync.WaitGroup
		for caller := range exchangeCallers {
			group.Go(func() {
				for n := range exchangeEach {
					if err := s.do((i*exchangeCallers+caller)*exchangeEach + n); err != nil {
						errs[caller] = err
						return
					}
				}
			})
		}
		group.Wait()
		return errors.Join(errs...)
	}}
}

// serveFloor starts f and connects to it.
func (w *exchangeWorld) serveFloor(f floor) (tratv1.TokenServiceClient, error) {
	addr, err := w.serveTokenService(func(r grpc.ServiceRegistrar) { tratv1.RegisterTokenServiceServer(r, f) })
	if err != nil {
		return nil, err
	}
	return w.dialTokenService(addr)
}

// signP256 is the primitive alone: one hash, one ECDSA operation.
func signP256(key *ecdsa.PrivateKey, input string) error {
	digest := sha256.Sum256([]byte(input))
	_, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	return err
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
	defer debug.SetGCPercent(debug.SetGCPercent(serviceGC))
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
