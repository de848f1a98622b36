package redisreplay_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/grpc-trat/grpc-trat/trat/replay/redisreplay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient is a timeout that a loaded machine keeps.
const patient = 10 * time.Second

// fakeServer speaks the protocol of Redis in this process. It says about itself what the
// test wants, and a test can stand in for its commands.
type fakeServer struct {
	*miniredis.Miniredis

	mu   sync.Mutex
	info map[string]map[string]string // by section
	set  server.Hook                  // in place of SET, unless it says no
	sets int
}

func startServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{
		Miniredis: miniredis.RunT(t),
		info: map[string]map[string]string{
			"memory":      {"maxmemory": "0", "maxmemory_policy": "noeviction"},
			"persistence": {"aof_enabled": "1"},
		},
	}
	f.Server().SetPreHook(f.hook)
	return f
}

func (f *fakeServer) hook(c *server.Peer, command string, args ...string) bool {
	switch strings.ToUpper(command) {
	case "SET":
		f.mu.Lock()
		f.sets++
		set := f.set
		f.mu.Unlock()
		return set != nil && set(c, command, args...)
	case "INFO":
		c.WriteBulk(f.section(args[0]))
		return true
	}
	return false
}

func (f *fakeServer) section(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := "# " + name + "\r\n"
	for _, field := range slices.Sorted(maps.Keys(f.info[name])) {
		text += field + ":" + f.info[name][field] + "\r\n"
	}
	return text
}

// onSet has SET answered by hook, if hook says so.
func (f *fakeServer) onSet(hook server.Hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = hook
}

// says sets what INFO has; "" takes it out.
func (f *fakeServer) says(section, name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.info[section][name] = value
	if value == "" {
		delete(f.info[section], name)
	}
}

// received is how many times SET has arrived.
func (f *fakeServer) received() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sets
}

// dial makes a client as a program would.
func (f *fakeServer) dial(t *testing.T) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: f.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	return client
}

// newStore makes a store with a client of its own.
func (f *fakeServer) newStore(t *testing.T, opts ...redisreplay.Option) *redisreplay.Store {
	t.Helper()
	store, err := redisreplay.New(t.Context(), f.dial(t), append([]redisreplay.Option{redisreplay.WithTimeout(patient)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return store
}
