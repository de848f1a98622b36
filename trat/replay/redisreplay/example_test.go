package redisreplay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/interceptors"
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

	var config interceptors.ServerConfig // as in the example of interceptors.NewServer
	rules := interceptors.Rules{"/shop.v1.PaymentsService/Charge": interceptors.Require("order.create").Once()}
	guard, err := interceptors.NewServer(config, rules, interceptors.WithOnceStore(store))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = grpc.NewServer(guard.ServerOptions()...) // and so on, as there
}
