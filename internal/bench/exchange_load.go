package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// load is what callers in a process of their own do, and where they find it.
type load struct {
	WorkloadAPI string        `json:"workload_api"`
	Addr        string        `json:"addr"`
	Tokens      []string      `json:"tokens"`
	Callers     int           `json:"callers"`
	Length      time.Duration `json:"length"`
}

// loaded is what they saw.
type loaded struct {
	Exchanges int           `json:"exchanges"`
	P50       time.Duration `json:"p50"`
	P99       time.Duration `json:"p99"`
}

// underLoad is one measurement of a service under load; times are in seconds.
type underLoad struct{ perCPUSecond, p50, p99 float64 }

// loadOnce starts a service here and callers in a process of their own, so that the CPU
// time of this process is the service's.
func loadOnce(rules int, alg trat.Algorithm, callers int, length time.Duration) (underLoad, error) {
	w, err := newExchangeWorld(rules, alg)
	if err != nil {
		return underLoad{}, err
	}
	defer w.stop()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return underLoad{}, err
	}
	defer os.RemoveAll(dir)
	socket, err := w.authority.Listen(filepath.Join(dir, "workload"), "gateway", exchangeGateway)
	if err != nil {
		return underLoad{}, err
	}
	order, err := json.Marshal(load{WorkloadAPI: socket, Addr: w.addr, Tokens: w.tokens, Callers: callers, Length: length})
	if err != nil {
		return underLoad{}, err
	}
	path := filepath.Join(dir, "load.json")
	if err := os.WriteFile(path, order, 0o600); err != nil {
		return underLoad{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return underLoad{}, err
	}
	cmd := exec.Command(self, "-load", path)
	cmd.Stderr = os.Stderr
	before := cpuTime()
	answer, err := cmd.Output()
	spent := cpuTime() - before
	if err != nil {
		return underLoad{}, fmt.Errorf("the callers' process: %w", err)
	}
	var saw loaded
	if err := json.Unmarshal(answer, &saw); err != nil {
		return underLoad{}, err
	}
	return underLoad{float64(saw.Exchanges) / spent.Seconds(), saw.P50.Seconds(), saw.P99.Seconds()}, nil
}

// runLoad is the callers' process: it carries out the load described in the file and
// prints what it saw.
func runLoad(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var l load
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	ctx := context.Background()
	source, err := spiffecreds.NewSource(ctx, spiffecreds.WithAddress(l.WorkloadAPI))
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	conn, err := dialTokenService(l.Addr, source, source)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	saw, err := l.run(ctx, tratv1.NewTokenServiceClient(conn))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(saw)
}

// run has every caller exchange one token after the other until the time is over.
func (l load) run(ctx context.Context, client tratv1.TokenServiceClient) (loaded, error) {
	end := time.Now().Add(l.Length)
	latencies, errs := make([][]time.Duration, l.Callers), make([]error, l.Callers)
	var group sync.WaitGroup
	for caller := range l.Callers {
		group.Go(func() {
			for i := caller; time.Now().Before(end); i += l.Callers {
				start := time.Now()
				if _, err := client.Exchange(ctx, exchangeRequest(l.Tokens[i%len(l.Tokens)])); err != nil {
					errs[caller] = fmt.Errorf("caller %s: %w", strconv.Itoa(caller), err)
					return
				}
				latencies[caller] = append(latencies[caller], time.Since(start))
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return loaded{}, err
	}
	var all []time.Duration
	for _, l := range latencies {
		all = append(all, l...)
	}
	p50, err1 := percentile(all, 0.5)
	p99, err2 := percentile(all, 0.99)
	return loaded{Exchanges: len(all), P50: p50, P99: p99}, errors.Join(err1, err2)
}

func dialTokenService(addr string, svids x509svid.Source, bundles x509bundle.Source) (*grpc.ClientConn, error) {
	creds, err := spiffecreds.NewClient(svids, bundles, spiffeid.MatchID(exchangeTTS))
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds))
}
