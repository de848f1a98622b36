package redisreplay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// checkClient finds what makes a client unfit before it is used.
func checkClient(client redis.UniversalClient) error {
	var timeouts bool
	switch c := client.(type) {
	case nil:
		return errors.New("client: nil")
	case *redis.Ring:
		return errors.New("client: a Ring asks another server when one is away, where every key is fresh")
	case *redis.Client:
		timeouts = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		timeouts = c.Options().ContextTimeoutEnabled
	default:
		return fmt.Errorf("client: %T: want a *redis.Client or *redis.ClusterClient", client)
	}
	if !timeouts {
		return errors.New("client: ContextTimeoutEnabled is not set, so no timeout would hold")
	}
	return nil
}

// checkServers asks every server that keys are written to.
func (s *Store) checkServers(ctx context.Context) error {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			return s.checkServer(ctx, master)
		})
	}
	return s.checkServer(ctx, s.client)
}

// checkServer refuses a server that may forget marks.
func (s *Store) checkServer(ctx context.Context, server redis.Cmdable) error {
	memory, err := info(ctx, server, "memory")
	if err != nil {
		return err
	}
	limit, policy := memory["maxmemory"], memory["maxmemory_policy"]
	switch {
	case limit == "" || policy == "":
		return errors.New("the server does not say in INFO memory whether it evicts keys")
	case limit != "0" && policy != "noeviction":
		return fmt.Errorf("the server evicts keys when it is full (maxmemory-policy %q), and what is evicted "+
			"is accepted again: set it to noeviction", policy)
	}
	if s.volatile {
		return nil
	}
	persistence, err := info(ctx, server, "persistence")
	if err != nil {
		return err
	}
	if persistence["aof_enabled"] != "1" {
		return errors.New("the server forgets at a restart (appendonly is off), and what is forgotten is accepted " +
			"again: set appendonly to yes, or say redisreplay.UnsafeAllowVolatile")
	}
	return nil
}

// info returns one section of what the server says about itself.
func info(ctx context.Context, server redis.Cmdable, section string) (map[string]string, error) {
	text, err := server.Info(ctx, section).Result()
	if err != nil {
		return nil, fmt.Errorf("ask the server (INFO %s): %w", section, err)
	}
	values := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); found {
			values[name] = value
		}
	}
	return values, nil
}
