package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// coreSignatures is the default budget of a Signer per second and core.
const coreSignatures = 500

// relay is a service that makes one call for each that it gets.
type relay struct {
	backend
	next testpb.TestServiceClient
}

func (r relay) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return r.next.UnaryCall(ctx, req)
}

// measurePaths measures requests that go through several workloads, each a server and a
// client of its own, from many callers at once. All of them run here and share the cores, so
// they also share what a process on these cores may sign.
func measurePaths(rounds int) ([]row, error) {
	modes := []callchain.Mode{callchain.ModeOff, callchain.ModeHead, callchain.ModePath}
	var rows []row
	for _, hops := range depths {
		perHop := make(map[callchain.Mode][]float64)
		var overOff, latency []float64
		for range max(2, rounds/8) {
			costs, p50, err := pathCosts(hops, modes)
			if err != nil {
				return nil, fmt.Errorf("%d hops: %w", hops, err)
			}
			for _, mode := range modes {
				perHop[mode] = append(perHop[mode], micros(costs[mode.String()].median())/float64(busyCallers*pathEach*hops))
			}
			overOff = append(overOff, costs[callchain.ModePath.String()].over(costs[callchain.ModeOff.String()]))
			latency = append(latency, float64(p50[callchain.ModePath])/float64(p50[callchain.ModeOff]))
		}
		name := fmt.Sprintf("64 callers, links: %d, ", hops)
		for _, mode := range modes {
			rows = append(rows, row{name: fmt.Sprintf("%schain %s, CPU per hop", name, mode), value: middle(perHop[mode]), unit: " us"})
		}
		rows = append(rows,
			row{name: name + "chain path / off, CPU", value: middle(overOff), unit: "x"},
			row{name: name + "chain path / off, p50", value: middle(latency), unit: "x"})
	}
	return rows, nil
}

const (
	// pathEach is how many requests a caller makes in a row.
	pathEach = 8
	// pathTimeout ends a world of paths in which a call hangs: six hops and 64 callers take
	// more than callTimeout where other programs use the cores, too.
	pathTimeout = 5 * time.Minute
)

// pathCosts measures requests through that many hops, in each mode.
func pathCosts(hops int, modes []callchain.Mode) (map[string]timings, map[callchain.Mode]time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pathTimeout)
	defer cancel()
	d, err := newDomain()
	if err != nil {
		return nil, nil, err
	}
	defer d.stop()
	var subjects []subject
	waited := make(map[callchain.Mode]*[]time.Duration)
	for _, mode := range modes {
		first, err := d.path(hops, mode)
		if err != nil {
			return nil, nil, err
		}
		call := func(ctx context.Context, i int) error {
			return unaryCall(trat.NewContext(ctx, d.verified[i%transactions]), first)
		}
		waited[mode] = new([]time.Duration)
		crowd := crowd{name: mode.String(), call: call, each: pathEach, waited: waited[mode]}
		if err := crowd.do(ctx, 0); err != nil {
			return nil, nil, err
		}
		*waited[mode] = nil
		subjects = append(subjects, crowd.subject(ctx))
	}
	costs, err := compare(6, 150*time.Millisecond, subjects...)
	if err != nil {
		return nil, nil, err
	}
	p50 := make(map[callchain.Mode]time.Duration)
	for _, mode := range modes {
		if p50[mode], err = percentile(*waited[mode], 0.5); err != nil {
			return nil, nil, err
		}
	}
	return costs, p50, nil
}

// path starts a row of servers, each of which calls the next, and connects the gateway to
// the first.
func (d *domain) path(hops int, mode callchain.Mode) (testpb.TestServiceClient, error) {
	var service testpb.TestServiceServer = backend{}
	name := func(n int) string {
		if n == 0 {
			return gatewayPath
		}
		return fmt.Sprintf("/hop-%d-%d", n, rand.Uint32())
	}
	path := name(hops)
	for n := hops; ; n-- {
		addr, err := d.serve(path, mode, service)
		if err != nil {
			return nil, err
		}
		path = name(n - 1)
		source, err := d.source(path)
		if err != nil {
			return nil, err
		}
		signer, err := callchain.NewSigner(source, callchain.WithSignatureRate(float64(coreSignatures*runtime.GOMAXPROCS(0))/float64(hops)))
		if err != nil {
			return nil, err
		}
		client, err := d.dial(path, addr, mode, interceptors.WithLinkSigner(signer))
		if err != nil || n == 1 {
			return client, err
		}
		service = relay{next: client}
	}
}
