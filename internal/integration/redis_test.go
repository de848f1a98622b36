//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/replay/redisreplay"
	"github.com/grpc-trat/grpc-trat/trat/replay/replaytest"
)

const (
	// replayOwner is on whose account the marks are.
	replayOwner = "spiffe://shop.test/gateway"
	// storeTimeout is what a Mark may take on a machine that is busy.
	storeTimeout = 10 * time.Second
)

// redisServer is a Redis that can be stopped and started again with what it has on disk.
type redisServer struct {
	process *process
	address string
	command command
}

// startRedis runs Redis with an append-only file that is written before each answer; args
// follow, so they can say otherwise.
func startRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	port := freePort(t)
	r := &redisServer{address: "127.0.0.1:" + port, command: command{
		name: "redis", program: filepath.Join(component(t, "redis"), "redis-server"),
		args: append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(),
			"--save", "", "--appendonly", "yes", "--appendfsync", "always",
		}, args...),
	}}
	r.start(t)
	return r
}

func (r *redisServer) start(t *testing.T) {
	t.Helper()
	r.process = start(t, r.command)
	client := r.dial(t)
	r.process.waitReady(t, func(ctx context.Context) error { return client.Ping(ctx).Err() })
}

// stop ends Redis before the test does.
func (r *redisServer) stop(t *testing.T) {
	t.Helper()
	r.process.mayEnd = true
	if err := r.process.stop(); err != nil {
		t.Fatal(err)
	}
}

func (r *redisServer) dial(t *testing.T) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: r.address, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newStore makes the store of one replica.
func (r *redisServer) newStore(t *testing.T, opts ...redisreplay.Option) *redisreplay.Store {
	t.Helper()
	return newRedisStore(t, r.dial(t), opts...)
}

func newRedisStore(t *testing.T, client redis.UniversalClient, opts ...redisreplay.Option) *redisreplay.Store {
	t.Helper()
	store, err := redisreplay.New(t.Context(), client, append([]redisreplay.Option{redisreplay.WithTimeout(storeTimeout)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func wantMark(t *testing.T, store replay.Store, key string, want bool) {
	t.Helper()
	fresh, err := store.Mark(t.Context(), replayOwner, key, time.Now().Add(time.Minute))
	if err != nil || fresh != want {
		t.Errorf("Mark(%q) = %v, %v, want %v", key, fresh, err, want)
	}
}

// Covers RTY-02, RTY-04.
func TestRedisKeepsTheContractOfReplayStores(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	replaytest.Run(t, func(t *testing.T) (replay.Store, trat.Clock) {
		return r.newStore(t, redisreplay.WithPrefix(rand.Text()+":")), time.Now
	})
}

// A cluster of one master that has all slots.
//
// Covers RTY-02, RTY-04.
func TestARedisClusterKeepsTheContractOfReplayStores(t *testing.T) {
	t.Parallel()
	r := startRedis(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t))
	direct := r.dial(t)
	if err := direct.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	r.process.waitReady(t, func(ctx context.Context) error {
		info, err := direct.ClusterInfo(ctx).Result()
		if err == nil && !strings.Contains(info, "cluster_state:ok") {
			err = errors.New("not ok")
		}
		return err
	})
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{r.address}, ContextTimeoutEnabled: true})
	defer client.Close()
	replaytest.Run(t, func(t *testing.T) (replay.Store, trat.Clock) {
		return newRedisStore(t, client, redisreplay.WithPrefix(rand.Text()+":")), time.Now
	})
}

// The same requests reach two replicas at once, each several times: one accepts.
//
// Covers RTY-03, RTY-04.
func TestOneOfTwoReplicasWinsInRedis(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	replicas := []*redisreplay.Store{r.newStore(t), r.newStore(t)}
	const keys = 50
	var (
		wg    sync.WaitGroup
		wins  [keys]atomic.Int32
		ready = make(chan struct{})
	)
	for i := range 8 * keys {
		wg.Go(func() {
			<-ready
			fresh, err := replicas[i%len(replicas)].Mark(t.Context(), replayOwner, fmt.Sprint("key-", i/8), time.Now().Add(time.Minute))
			if err != nil {
				t.Errorf("Mark: %v", err)
			}
			if fresh {
				wins[i/8].Add(1)
			}
		})
	}
	close(ready)
	wg.Wait()
	for key := range wins {
		if n := wins[key].Load(); n != 1 {
			t.Errorf("key-%d was accepted %d times, want once", key, n)
		}
	}
}

// While Redis is away nothing is accepted; when it is back it knows what was.
//
// Covers RTY-09.
func TestARestartOfRedisMakesNothingFresh(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	store := r.newStore(t)
	wantMark(t, store, "before", true)
	r.stop(t)
	for _, key := range []string{"before", "meanwhile"} {
		if fresh, err := store.Mark(t.Context(), replayOwner, key, time.Now().Add(time.Minute)); fresh || err == nil {
			t.Errorf("Mark(%q) = %v, %v while Redis is away, want an error", key, fresh, err)
		}
	}
	r.start(t)
	wantMark(t, store, "before", false)
	wantMark(t, store, "meanwhile", true)
}

// Covers RTY-02.
func TestMarksInRedisEnd(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	const lifetime, margin = 200 * time.Millisecond, time.Second
	store := r.newStore(t, redisreplay.WithMargin(margin))
	marked := time.Now()
	fresh, err := store.Mark(t.Context(), replayOwner, "key", marked.Add(lifetime))
	if !fresh || err != nil {
		t.Fatalf("Mark = %v, %v, want fresh", fresh, err)
	}
	r.process.waitReady(t, func(ctx context.Context) error {
		fresh, err := store.Mark(ctx, replayOwner, "key", time.Now().Add(time.Minute))
		if err == nil && !fresh {
			err = errors.New("seen")
		}
		return err
	})
	if lived := time.Since(marked); lived < lifetime+margin {
		t.Errorf("fresh again after %s, before its expiry and margin of %s", lived, lifetime+margin)
	}
}

// Covers RTY-09.
func TestARedisThatForgetsIsRefused(t *testing.T) {
	t.Parallel()
	primary := startRedis(t)
	_, port, _ := strings.Cut(primary.address, ":")
	for _, tt := range []struct {
		name string
		args []string
		opts []redisreplay.Option
		want string // in the error; "": accepted
	}{
		{name: "evicts", args: []string{"--maxmemory", "16mb", "--maxmemory-policy", "allkeys-lru"}, want: "allkeys-lru"},
		{name: "evicts what expires", args: []string{"--maxmemory", "16mb", "--maxmemory-policy", "volatile-lfu"}, want: "volatile-lfu"},
		{name: "does not evict", args: []string{"--maxmemory", "16mb"}},
		{name: "forgets at a restart", args: []string{"--appendonly", "no"}, want: "appendonly"},
		{name: "forgets at a restart, which is known", args: []string{"--appendonly", "no"}, opts: []redisreplay.Option{redisreplay.UnsafeAllowVolatile()}},
		{name: "replica", args: []string{"--replicaof", "127.0.0.1 " + port}, want: "READONLY"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRedis(t, tt.args...)
			_, err := redisreplay.New(t.Context(), r.dial(t), append(tt.opts, redisreplay.WithTimeout(storeTimeout))...)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("New: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("New: %v, want an error about %s", err, tt.want)
			}
		})
	}
}

// A full Redis refuses what is new and has not forgotten what is old.
//
// Covers RTY-02.
func TestAFullRedisForgetsNothing(t *testing.T) {
	t.Parallel()
	r := startRedis(t, "--appendfsync", "no")
	store := r.newStore(t)
	wantMark(t, store, "first", true)
	client := r.dial(t)
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"first", "another"} {
		fresh, err := store.Mark(t.Context(), replayOwner, key, time.Now().Add(time.Minute))
		if fresh || !errors.Is(err, replay.ErrFull) {
			t.Errorf("Mark(%q) = %v, %v on a full server, want ErrFull", key, fresh, err)
		}
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	wantMark(t, store, "first", false)
	wantMark(t, store, "another", true)
}

// The permissions that the package's documentation names are enough, and the prefix is all
// that the user can write to.
func TestAUserOfRedisNeedsFewPermissions(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	if err := r.dial(t).ACLSetUser(t.Context(), "orders", "on", ">password", "~orders:*", "+set", "+info").Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: r.address, Username: "orders", Password: "password", ContextTimeoutEnabled: true})
	defer client.Close()
	store := newRedisStore(t, client, redisreplay.WithPrefix("orders:"))
	wantMark(t, store, "key", true)
	wantMark(t, store, "key", false)
	if _, err := redisreplay.New(t.Context(), client, redisreplay.WithPrefix("payments:")); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("New with another prefix: %v, want NOPERM", err)
	}
}
