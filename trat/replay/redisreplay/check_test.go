package redisreplay_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/grpc-trat/grpc-trat/trat/replay/redisreplay"
)

// Covers RTY-09.
func TestServersThatForgetAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrange func(*fakeServer)
		opts    []redisreplay.Option
		want    string // in the error; "": accepted
	}{
		{name: "no limit", arrange: func(f *fakeServer) { f.says("memory", "maxmemory_policy", "allkeys-lru") }},
		{name: "limit without eviction", arrange: func(f *fakeServer) { f.says("memory", "maxmemory", "1048576") }},
		{name: "evicts any key", arrange: func(f *fakeServer) {
			f.says("memory", "maxmemory", "1048576")
			f.says("memory", "maxmemory_policy", "allkeys-lru")
		}, want: `"allkeys-lru"`},
		{name: "evicts keys that expire", arrange: func(f *fakeServer) {
			f.says("memory", "maxmemory", "1048576")
			f.says("memory", "maxmemory_policy", "volatile-ttl")
		}, want: "noeviction"},
		{name: "does not say its limit", arrange: func(f *fakeServer) { f.says("memory", "maxmemory", "") }, want: "INFO memory"},
		{name: "does not say its policy", arrange: func(f *fakeServer) { f.says("memory", "maxmemory_policy", "") }, want: "INFO memory"},
		{name: "no append-only file", arrange: func(f *fakeServer) { f.says("persistence", "aof_enabled", "0") }, want: "appendonly"},
		{name: "does not say whether there is one", arrange: func(f *fakeServer) { f.says("persistence", "aof_enabled", "") }, want: "appendonly"},
		{
			name: "no append-only file, and that is known", arrange: func(f *fakeServer) { f.says("persistence", "aof_enabled", "0") },
			opts: []redisreplay.Option{redisreplay.UnsafeAllowVolatile()},
		},
		{
			name: "volatile says nothing of eviction", arrange: func(f *fakeServer) {
				f.says("memory", "maxmemory", "1048576")
				f.says("memory", "maxmemory_policy", "allkeys-lru")
			},
			opts: []redisreplay.Option{redisreplay.UnsafeAllowVolatile()}, want: `"allkeys-lru"`,
		},
		{name: "replica", arrange: func(f *fakeServer) {
			f.onSet(func(c *server.Peer, _ string, _ ...string) bool { c.WriteError("READONLY"); return true })
		}, want: "write"},
		{name: "away", arrange: func(f *fakeServer) { f.Close() }, want: "INFO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startServer(t)
			client := f.dial(t)
			tt.arrange(f)
			_, err := redisreplay.New(t.Context(), client, append(tt.opts, redisreplay.WithTimeout(patient))...)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("New: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("New: %v, want an error about %s", err, tt.want)
			}
		})
	}
}

func TestClientsThatCannotKeepThePromiseAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		client redis.UniversalClient
		want   string
	}{
		{name: "none", want: "nil"},
		{name: "ring", client: redis.NewRing(&redis.RingOptions{ContextTimeoutEnabled: true}), want: "Ring"},
		{name: "without timeouts", client: redis.NewClient(&redis.Options{}), want: "ContextTimeoutEnabled"},
		{name: "cluster without timeouts", client: redis.NewClusterClient(&redis.ClusterOptions{}), want: "ContextTimeoutEnabled"},
		{name: "unknown", client: struct{ redis.UniversalClient }{redis.NewClient(&redis.Options{})}, want: "want a *redis.Client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.client != nil {
				defer tt.client.Close()
			}
			if _, err := redisreplay.New(t.Context(), tt.client); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want an error about %s", err, tt.want)
			}
		})
	}
}

func TestAllProblemsOfTheOptionsAreNamed(t *testing.T) {
	_, err := redisreplay.New(
		t.Context(), nil,
		nil, redisreplay.WithPrefix(""), redisreplay.WithTimeout(0), redisreplay.WithMargin(time.Millisecond), redisreplay.WithClock(nil),
	)
	if err == nil {
		t.Fatal("New = nil error")
	}
	for _, want := range []string{"client:", "nil option", "prefix:", "timeout:", "margin:", "clock:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	for _, opt := range []redisreplay.Option{
		redisreplay.WithPrefix(strings.Repeat("p", 129)), redisreplay.WithTimeout(time.Minute), redisreplay.WithMargin(2 * time.Hour),
	} {
		if _, err := redisreplay.New(t.Context(), startServer(t).dial(t), opt); err == nil {
			t.Error("New takes an option beyond its limit")
		}
	}
}

func TestNewEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := redisreplay.New(ctx, startServer(t).dial(t)); err == nil {
		t.Error("New = nil error")
	}
}
