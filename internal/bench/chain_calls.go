package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	// busyCallers call at once, each so many times in a row.
	busyCallers = 64
	busyEach    = 24
	// seenCalls are listened to, to know what travels when it is busy.
	seenCalls = 64
	// loneCalls are the calls of a turn with one caller.
	loneCalls = 200
)

// callers are clients that make the same call in different ways, among them the bare one
// that carries the very bytes which guard and carrier exchange when it is busy.
type callers struct {
	*domain
	parents []*callchain.Chain // of each transaction, as the gateway's call brought it
	seen    *listener
	calls   map[string]func(ctx context.Context, i int) error
}

// The ways to call.
const (
	callBytes = "bytes" // bare, with the same bytes
	callOff   = "off"   // guard and carrier, without a chain
	callHead  = "head"
)

// newCallers makes a new world, all connections of which are warm.
func newCallers(ctx context.Context) (*callers, error) {
	d, err := newDomain()
	if err != nil {
		return nil, err
	}
	c := &callers{domain: d, seen: &listener{}, calls: make(map[string]func(context.Context, int) error)}
	if err := c.addParents(); err != nil {
		return nil, err
	}
	if err := c.listen(ctx); err != nil {
		return nil, err
	}
	for name, mode := range map[string]callchain.Mode{callBytes: 0, callOff: callchain.ModeOff, callHead: callchain.ModeHead} {
		client, err := c.connect(mode)
		if err != nil {
			return nil, err
		}
		c.calls[name] = func(ctx context.Context, i int) error { return unaryCall(c.context(ctx, mode, i), client) }
		if err := c.busy(name, busyEach).do(ctx, 0); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// addParents makes the calls of the gateway that the measured ones are made for.
func (c *callers) addParents() error {
	gateway, err1 := c.newActor(gatewayPath)
	orders, err2 := c.newActor(ordersPath)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for _, token := range c.verified {
		encoded, err := gateway.call(orders, token, nil, callchain.ModePath)
		if err != nil {
			return err
		}
		chain, err := orders.verifier.Verify(orders.received(gateway, token, encoded, callchain.ModePath))
		if err != nil {
			return err
		}
		c.parents = append(c.parents, chain)
	}
	return nil
}

// The steps that a call makes because of its chain.
const (
	stepSign   = "sign"
	stepVerify = "verify"
)

// steps are what a call does for its chain at either end, without the call.
func (c *callers) steps() (map[string]func(i int) error, error) {
	orders, err1 := c.newActor(ordersPath)
	stock, err2 := c.newActor(stockPath)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	sign := func(i int) (string, error) {
		i %= transactions
		return orders.call(stock, c.verified[i], c.parents[i], callchain.ModeHead)
	}
	encoded := make([]string, transactions)
	for i := range encoded {
		var err error
		if encoded[i], err = sign(i); err != nil {
			return nil, err
		}
	}
	return map[string]func(int) error{
		stepSign: func(i int) error {
			_, err := sign(i)
			return err
		},
		stepVerify: func(i int) error {
			i %= transactions
			_, err := stock.verifier.Verify(stock.received(orders, c.verified[i], encoded[i], callchain.ModeHead))
			return err
		},
	}, nil
}

// connect makes a connection from the service that was called by the gateway to the next.
func (c *callers) connect(mode callchain.Mode, opts ...grpc.ServerOption) (testpb.TestServiceClient, error) {
	addr, err := c.serve(stockPath, mode, backend{}, opts...)
	if err != nil {
		return nil, err
	}
	return c.dial(ordersPath, addr, mode)
}

// context is that of the i-th call.
func (c *callers) context(ctx context.Context, mode callchain.Mode, i int) context.Context {
	token := c.verified[i%transactions]
	if mode == 0 {
		return metadata.AppendToOutgoingContext(ctx, "txn-token", token.UnsafeRaw(),
			callchain.MetadataKey, c.seen.chains[i%len(c.seen.chains)])
	}
	return callchain.NewContext(trat.NewContext(ctx, token), c.parents[i%transactions])
}

// crowd is a subject whose calls busyCallers make together, each so many of them.
type crowd struct {
	name string
	call func(ctx context.Context, i int) error
	each int
	// waited, if not nil, gets how long each call took.
	waited *[]time.Duration
}

func (c *callers) busy(name string, each int) crowd {
	return crowd{name: name, call: c.calls[name], each: each}
}

func (c crowd) do(ctx context.Context, i int) error {
	errs, times := make([]error, busyCallers), make([][]time.Duration, busyCallers)
	var group sync.WaitGroup
	for caller := range busyCallers {
		group.Go(func() {
			for n := range c.each {
				start := time.Now()
				if err := c.call(ctx, (i*busyCallers+caller)*c.each+n); err != nil {
					errs[caller] = fmt.Errorf("%s: %w", c.name, err)
					return
				}
				times[caller] = append(times[caller], time.Since(start))
			}
		})
	}
	group.Wait()
	if c.waited != nil {
		*c.waited = append(*c.waited, slices.Concat(times...)...)
	}
	return errors.Join(errs...)
}

// subject is the crowd to be measured.
func (c crowd) subject(ctx context.Context) subject {
	return subject{c.name, func(i int) error { return c.do(ctx, i) }}
}

// listener keeps the chains that a server receives.
type listener struct {
	mu     sync.Mutex
	chains []string
}

func (l *listener) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	values := metadata.ValueFromIncomingContext(ctx, callchain.MetadataKey)
	l.mu.Lock()
	l.chains = append(l.chains, values...)
	l.mu.Unlock()
	return handler(ctx, req)
}

// listen has the callers call a server of its own, which listens to what travels.
func (c *callers) listen(ctx context.Context) error {
	client, err := c.connect(callchain.ModeHead, grpc.ChainUnaryInterceptor(c.seen.intercept))
	if err != nil {
		return err
	}
	call := func(ctx context.Context, i int) error {
		return unaryCall(c.context(ctx, callchain.ModeHead, i), client)
	}
	if err := (crowd{name: "listen", call: call, each: seenCalls}).do(ctx, 0); err != nil {
		return err
	}
	if len(c.seen.chains) != busyCallers*seenCalls {
		return fmt.Errorf("%d chains came with %d calls", len(c.seen.chains), busyCallers*seenCalls)
	}
	// In the order in which they came, those of one group would be neighbours.
	rand.Shuffle(len(c.seen.chains), func(i, j int) {
		c.seen.chains[i], c.seen.chains[j] = c.seen.chains[j], c.seen.chains[i]
	})
	return nil
}

// groups returns the sizes of the groups that were signed together, as far as they were
// seen: links of one group end with one signature.
func (l *listener) groups() (mean float64, largest int, size float64, err error) {
	members := make(map[string]int)
	bytes := 0
	for _, chain := range l.chains {
		b, err := base64.RawURLEncoding.DecodeString(chain)
		if err != nil || len(b) < 64 {
			return 0, 0, 0, fmt.Errorf("not a chain: %w", err)
		}
		signature := string(b[len(b)-64:])
		members[signature]++
		largest = max(largest, members[signature])
		bytes += fieldSize(callchain.MetadataKey, len(chain))
	}
	return float64(len(l.chains)) / float64(len(members)), largest, float64(bytes) / float64(len(l.chains)), nil
}
