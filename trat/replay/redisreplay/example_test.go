package redisreplay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/grpc-trat/grpc-trat/trat/replay/redisreplay"
)

// The store of a service with several replicas, for its methods that may run once per
// transaction.
func ExampleNew() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"redis.shop.test:6379"},
		ContextTimeoutEnabled: true,
	})
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	store, err := redisreplay.New(ctx, client, redisreplay.WithPrefix("orders:replay:"))
	if err != nil {
		fmt.Println(err)
		return
	}

	// The guard does this for its Once methods.
	fresh, err := store.Mark(ctx, "spiffe://shop.test/gateway", "key", time.Now().Add(time.Minute))
	fmt.Println(fresh, err)
}
