package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Two connections of one kind differ by several percent for as long as they live, so a
// comparison is made in many worlds, each with new servers and connections, and only a
// little in each: the value is the median over the worlds, and its uncertainty is
// known.

const (
	// precision is the standard error that a ratio may have.
	precision = 0.006
	// callTimeout ends a world in which a call hangs.
	callTimeout = time.Minute
)

// plan says how much is measured.
type plan struct {
	tctx   trat.Object // of the transactions; zero: the draft's example
	warm   call        // what shows a guard every token first; nil: unaryCall
	worlds int         // at least
	limit  time.Duration
	rounds int // in each world
	turn   time.Duration
}

// variant is one way to call: a client, and how the context of the i-th call is made.
// A token or its bytes are attached for each call, because each call has another.
type variant struct {
	name    string
	mode    callchain.Mode // of guard and carrier; zero for neither
	context func(ctx context.Context, d *domain, i int) context.Context
	demands demands // of the guard
}

func bareContext(ctx context.Context, _ *domain, _ int) context.Context { return ctx }

func bytesContext(ctx context.Context, d *domain, i int) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "txn-token", d.verified[i%transactions].UnsafeRaw())
}

func tokenContext(ctx context.Context, d *domain, i int) context.Context {
	return trat.NewContext(ctx, d.verified[i%transactions])
}

func oneTokenContext(ctx context.Context, d *domain, _ int) context.Context {
	return tokenContext(ctx, d, 0)
}

// The bare call, the bare call that carries as many bytes of metadata, and the call with
// guard and carrier, without a call chain.
var (
	bare    = variant{name: "bare", context: bareContext}
	bytes   = variant{name: "bytes", context: bytesContext}
	guarded = variant{name: "guarded", mode: callchain.ModeOff, context: tokenContext}
)

// The last two with one token for ever.
var (
	bytesOfOne = variant{name: "bytes of one", context: func(ctx context.Context, d *domain, _ int) context.Context {
		return bytesContext(ctx, d, 0)
	}}
	guardedOne = variant{name: "guarded one", mode: callchain.ModeOff, context: oneTokenContext}
)

// call makes the call that is measured.
type call func(context.Context, testpb.TestServiceClient) error

// withoutDeadline is v as a caller uses it who sets no deadline. All other calls have one:
// that of the world, which comes before a token expires.
func withoutDeadline(v variant) variant {
	within := v.context
	v.name += ", no deadline"
	v.context = func(ctx context.Context, d *domain, i int) context.Context {
		return within(context.WithoutCancel(ctx), d, i)
	}
	return v
}

// worldly are the median costs of each variant in each world.
type worldly map[string]timings

// inWorlds compares the variants of a call, the first against the second above all: it
// makes worlds until that ratio is known to within precision, and stops at the limit
// when the machine is too busy for that.
func (p plan) inWorlds(do call, variants ...variant) (worldly, error) {
	costs := make(worldly)
	start := time.Now()
	for n := 0; ; n++ {
		_, uncertain := costs.over(variants[0], variants[1])
		if n >= p.worlds && (uncertain <= precision || time.Since(start) > p.limit) {
			return costs, nil
		}
		one, err := p.inOneWorld(do, variants)
		if err != nil {
			return nil, err
		}
		for name, t := range one {
			costs[name] = append(costs[name], t.median())
		}
	}
}

func (p plan) inOneWorld(do call, variants []variant) (map[string]timings, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	d, err := newDomainFor(p.tctx)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	warm := p.warm
	if warm == nil {
		warm = unaryCall
	}
	var subjects []subject
	for _, v := range variants {
		addr, err := d.serveBehind(ordersPath, v.mode, v.demands, backend{})
		if err != nil {
			return nil, err
		}
		client, err := d.dial(gatewayPath, addr, v.mode)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject{v.name, func(i int) error { return do(v.context(ctx, d, i), client) }})
		// From here on the guard has seen every token, and the connection is warm.
		for i := range 2 * transactions {
			if err := warm(v.context(ctx, d, i), client); err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
		}
	}
	return compare(p.rounds, p.turn, subjects...)
}

// over returns the median ratio of a to b over the worlds, and the standard error of
// that median.
func (w worldly) over(a, b variant) (ratio, standardError float64) {
	if len(w[b.name]) == 0 {
		return 0, math.Inf(1)
	}
	ratios := make([]float64, len(w[b.name]))
	for i, of := range w[b.name] {
		ratios[i] = float64(w[a.name][i]) / float64(of)
	}
	ratio = middle(ratios)
	deviations := make([]float64, len(ratios))
	for i, r := range ratios {
		deviations[i] = math.Abs(r - ratio)
	}
	// 1.4826 makes a standard deviation of the median deviation, 1.2533 the error of a
	// median of that of a mean, both for a normal distribution.
	return ratio, 1.4826 * 1.2533 * middle(deviations) / math.Sqrt(float64(len(ratios)))
}

// middle sorts values and returns the median.
func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func unaryCall(ctx context.Context, c testpb.TestServiceClient) error {
	_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{})
	return err
}

func streamingCall(ctx context.Context, c testpb.TestServiceClient) error {
	stream, err := c.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		switch _, err := stream.Recv(); {
		case errors.Is(err, io.EOF):
			if n != streamMessages {
				return fmt.Errorf("%d messages", n)
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// measureCalls measures unary calls; CPU time is that of client and server together.
func measureCalls(rounds int) ([]row, error) {
	p := plan{worlds: rounds, limit: time.Duration(rounds) * time.Second, rounds: 6, turn: 15 * time.Millisecond}
	w, err := p.inWorlds(unaryCall, guarded, bytes, bare)
	if err != nil {
		return nil, err
	}
	p.limit /= 4
	one, err := p.inWorlds(unaryCall, guardedOne, bytesOfOne)
	if err != nil {
		return nil, err
	}
	guardedOpen, bytesOpen := withoutDeadline(guarded), withoutDeadline(bytes)
	open, err := p.inWorlds(unaryCall, guardedOpen, bytesOpen)
	if err != nil {
		return nil, err
	}
	openRatio, _ := open.over(guardedOpen, bytesOpen)
	ofBytes, _ := w.over(bytes, bare)
	ofBare, _ := w.over(guarded, bare)
	ratio, uncertain := w.over(guarded, bytes)
	oneRatio, _ := one.over(guardedOne, bytesOfOne)
	return []row{
		{name: "unary call, bare mTLS, CPU", value: micros(w[bare.name].median()), unit: " us"},
		{name: "unary call, bare mTLS with the token's bytes, CPU", value: micros(w[bytes.name].median()), unit: " us"},
		{name: "unary call, guard and carrier, CPU", value: micros(w[guarded.name].median()), unit: " us"},
		{name: "unary call, bare with the bytes / bare", value: ofBytes, unit: "x"},
		{name: "unary call, guard and carrier / bare", value: ofBare, unit: "x"},
		{name: "unary call, guard and carrier / bare with the bytes", value: ratio, unit: "x", budget: 1.08},
		{name: "unary call, standard error of that", value: uncertain, unit: "x"},
		{name: "unary call, that with one token, its bytes compressed away", value: oneRatio, unit: "x"},
		{name: "unary call, that for callers without a deadline, whom the carrier gives one", value: openRatio, unit: "x"},
	}, nil
}

// measureStreams measures long server streams: a message costs nothing more than
// without a guard. The budget leaves room for the noise of the machine and for the
// opening, which all messages share.
func measureStreams(rounds int) ([]row, error) {
	p := plan{worlds: rounds, limit: time.Duration(rounds) * time.Second, rounds: 4, turn: 25 * time.Millisecond}
	w, err := p.inWorlds(streamingCall, guarded, bytes)
	if err != nil {
		return nil, err
	}
	ratio, uncertain := w.over(guarded, bytes)
	return []row{
		{name: "server stream, bare, CPU per message", value: micros(w[bytes.name].median()) / streamMessages, unit: " us"},
		{name: "server stream, guarded, CPU per message", value: micros(w[guarded.name].median()) / streamMessages, unit: " us"},
		{name: "server stream, guarded / bare", value: ratio, unit: "x", budget: 1.05},
		{name: "server stream, standard error of that", value: uncertain, unit: "x"},
	}, nil
}
