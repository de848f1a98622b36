package redisreplay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/grpc-trat/grpc-trat/trat/replay"
)

var _ replay.Store = (*Store)(nil)

// Store is a replay.Store in Redis or Valkey. It is safe for concurrent use, and so are
// any number of them with the same servers and prefix.
type Store struct {
	client redis.UniversalClient
	config
}

// New returns a store over a client, after it has found that the servers can be reached and
// written to, and are fit for it; see the package. It asks them within ctx. The client stays the
// program's: it needs ContextTimeoutEnabled, or no timeout would hold, and whoever
// made it closes it.
func New(ctx context.Context, client redis.UniversalClient, opts ...Option) (*Store, error) {
	s := &Store{client: client, config: config{
		prefix: DefaultPrefix, timeout: DefaultTimeout, margin: DefaultMargin, clock: time.Now,
	}}
	problems := []error{checkClient(client)}
	for _, o := range opts {
		if o == nil {
			problems = append(problems, errors.New("nil option"))
			continue
		}
		problems = append(problems, o.apply(&s.config))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("redisreplay: %w", err)
	}
	if err := s.checkServers(ctx); err != nil {
		return nil, fmt.Errorf("redisreplay: %w", err)
	}
	// What only a write shows: a replica, no permission, no room.
	if _, err := s.set(ctx, "probe:"+rand.Text(), time.Second); err != nil {
		return nil, fmt.Errorf("redisreplay: write: %w", err)
	}
	return s, nil
}

// Mark implements replay.Store; owner is not kept. Its errors are replay.ErrKey,
// replay.ErrExpired, those of ctx, replay.ErrFull when the server has no room, and
// otherwise what the client says; one that is context.DeadlineExceeded while ctx is not done
// is the store's own timeout. After an error the key may be marked.
func (s *Store) Mark(ctx context.Context, _, key string, expiry time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := replay.CheckKey(key); err != nil {
		return false, err
	}
	left := expiry.Sub(s.clock())
	if left <= 0 {
		return false, replay.ErrExpired
	}
	// Sub saturates at 292 years.
	return s.set(ctx, key, min(left, maxLifetime)+s.margin)
}

// maxLifetime keeps expiries far off in what the server can count.
const maxLifetime = 100 * 365 * 24 * time.Hour

// set makes a mark and reports whether there was none.
func (s *Store) set(ctx context.Context, key string, lifetime time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	milliseconds := int64((lifetime + time.Millisecond - 1) / time.Millisecond)
	cmd := onceOnly{redis.NewStatusCmd(ctx, "set", s.prefix+key, "", "nx", "px", milliseconds)}
	_ = s.client.Process(ctx, cmd) // it is in cmd too
	switch text, err := cmd.Result(); {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil && strings.HasPrefix(err.Error(), "OOM "):
		return false, fmt.Errorf("%w: redis: %w", replay.ErrFull, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The deadline of the context is that of the connection too, and came first there.
		return false, fmt.Errorf("replay: redis: %w: %w", context.DeadlineExceeded, err)
	case err != nil:
		return false, fmt.Errorf("replay: redis: %w", err)
	case text != "OK":
		return false, errors.New("replay: redis: SET has an answer that it cannot have")
	}
	return true, nil
}

// onceOnly is a command that the client does not send again when it does not know whether
// the first one arrived: the second would find the mark of the first, and tell a first use
// that it was seen.
type onceOnly struct{ *redis.StatusCmd }

// NoRetry implements redis.Cmder.
func (onceOnly) NoRetry() bool { return true }
