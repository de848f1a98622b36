package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/replay/redisreplay"
)

const (
	// replayKeys are alive in the store whose operations are measured.
	replayKeys = 200_000
	// replayOwners are the peers of a busy service.
	replayOwners = 32
	// redisMarkers mark at once, as the handlers of a busy service do.
	redisMarkers = 32
	redisMarks   = 32
	// redisProgram is where install.sh has Redis, below its directory.
	redisProgram = "redis-server"
)

// measureReplay measures the stores that remember what was accepted.
func measureReplay(rounds int) ([]row, error) {
	rows := []row{{name: "replay in memory, memory per entry", value: bytesPerKey(), unit: " B"}}
	for _, cores := range []int{1, runtime.GOMAXPROCS(0)} {
		perSecond, err := memoryMarks(rounds, cores)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{name: fmt.Sprintf("replay in memory, marks per second, cores: %d", cores), value: perSecond})
	}
	more, err := measureRedis(rounds)
	return append(rows, more...), err
}

// marker marks fresh keys of many owners. What it has marked lives for as long as
// replayKeys more marks take by its clock.
type marker struct {
	store  replay.Store
	owners []string
	marks  atomic.Uint64
	start  time.Time
}

func newMarker() *marker {
	m := &marker{start: time.Now()}
	for i := range replayOwners {
		m.owners = append(m.owners, "spiffe://trust-domain.test/ns/default/sa/workload-"+strconv.Itoa(i))
	}
	return m
}

// markStep is how many marks are counted at once.
const markStep = 64

// markLife is how long a mark is alive: a link, with leeway.
const markLife = 20 * time.Second

func (m *marker) now() time.Time {
	return m.start.Add(time.Duration(m.marks.Load()) * markLife / replayKeys)
}

func (m *marker) mark(ctx context.Context, i int, expiry time.Time) error {
	if i%markStep == 0 { // not each time, or cores would wait for each other here
		m.marks.Add(markStep)
	}
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], rand.Uint64())
	binary.BigEndian.PutUint64(key[8:], rand.Uint64())
	fresh, err := m.store.Mark(ctx, m.owners[i%replayOwners], string(key[:]), expiry)
	if err == nil && !fresh {
		err = errors.New("a fresh key was seen")
	}
	return err
}

// bytesPerKey is what a live key takes in a store that has grown to many of them.
func bytesPerKey() float64 {
	m := newMarker()
	before := heapInUse()
	store, err := replay.NewMemory(4*replayKeys, m.now)
	if err != nil {
		panic(err) // only for arguments that are not there to be wrong
	}
	m.store = store
	for i := range replayKeys {
		if err := m.mark(context.Background(), i, m.start.Add(time.Hour)); err != nil {
			panic(err) // there is room
		}
	}
	used := float64(heapInUse()-before) / replayKeys
	runtime.KeepAlive(m)
	return used
}

// heapInUse is the memory of what lives.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// memoryMarks returns how many marks a second a store in the steady state makes.
func memoryMarks(rounds, cores int) (float64, error) {
	m := newMarker()
	store, err := replay.NewMemory(4*replayKeys, m.now)
	if err != nil {
		return 0, err
	}
	m.store = store
	do := func(i int) error { return m.mark(context.Background(), i, m.now().Add(markLife)) }
	for i := range 2 * replayKeys {
		if err := do(i); err != nil {
			return 0, err
		}
	}
	shortest, _, err := wallTimes(rounds, spread(subject{"mark", do}, cores), subject{"nothing", func(int) error { return nil }})
	return batch / shortest.Seconds(), err
}

// measureRedis measures a store that replicas share, on this machine: what of it is the
// network, is the loopback's. Without a server it says so.
func measureRedis(rounds int) ([]row, error) {
	program := findRedis()
	if program == "" {
		fmt.Fprintln(os.Stderr, "bench: no Redis server: its figures are missing;",
			"internal/tools/components/install.sh install redis provides one")
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	server, addr, err := startRedis(ctx, program, dir)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, PoolSize: redisMarkers})
	defer client.Close()
	m := newMarker()
	if m.store, err = redisreplay.New(ctx, client, redisreplay.WithTimeout(10*time.Second)); err != nil {
		return nil, err
	}
	return redisRows(ctx, rounds, m, client)
}

func redisRows(ctx context.Context, rounds int, m *marker, client *redis.Client) ([]row, error) {
	do := func(i int) error { return m.mark(ctx, i, time.Now().Add(markLife)) }
	before, err := redisMemory(ctx, client)
	if err != nil {
		return nil, err
	}
	var one, many []time.Duration
	for range rounds {
		start := time.Now()
		for i := range redisMarks {
			if err := do(i); err != nil {
				return nil, err
			}
		}
		between := time.Now()
		if err := concurrently(redisMarkers, redisMarks, do); err != nil {
			return nil, err
		}
		one, many = append(one, between.Sub(start)/redisMarks), append(many, time.Since(between))
	}
	after, err := redisMemory(ctx, client)
	if err != nil {
		return nil, err
	}
	return []row{
		{name: "replay in Redis, memory of the server per entry", value: (after - before) / float64(rounds*redisMarks*(1+redisMarkers)), unit: " B"},
		{name: "replay in Redis, one marker, p50 of a mark", value: micros(timings(one).median()), unit: " us"},
		{
			name:  fmt.Sprintf("replay in Redis, marks per second, markers: %d", redisMarkers),
			value: redisMarkers * redisMarks / timings(many).median().Seconds(),
		},
	}, nil
}

// concurrently has that many goroutines call do, each so many times.
func concurrently(goroutines, each int, do func(int) error) error {
	errs := make([]error, goroutines)
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			for i := range each {
				if err := do(i); err != nil {
					errs[g] = err
					return
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// findRedis returns the program of the server that the components have installed, or that is
// in PATH, or "".
func findRedis() string {
	script := filepath.Join("..", "tools", "components", "install.sh")
	if dir, err := exec.Command("bash", script, "path", "redis").Output(); err == nil {
		return filepath.Join(strings.TrimSpace(string(dir)), redisProgram)
	}
	for _, name := range []string{redisProgram, "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// redisServer is a server in a process of its own.
type redisServer struct{ cmd *exec.Cmd }

func (s redisServer) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// startRedis starts a server that keeps what it is told, as redisreplay wants it, and waits
// until it listens.
func startRedis(ctx context.Context, program, dir string) (redisServer, string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return redisServer{}, "", err
	}
	addr := listener.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err := errors.Join(err, listener.Close()); err != nil {
		return redisServer{}, "", err
	}
	cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes")
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Start(); err != nil {
		return redisServer{}, "", err
	}
	server := redisServer{cmd}
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	for client.Ping(ctx).Err() != nil {
		select {
		case <-ctx.Done():
			server.stop()
			return redisServer{}, "", fmt.Errorf("redis does not listen: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return server, addr, nil
}

// redisMemory is what the server uses for its data.
func redisMemory(ctx context.Context, client *redis.Client) (float64, error) {
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, "used_memory:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, errors.New("redis does not say what it uses")
}
