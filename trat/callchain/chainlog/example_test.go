package chainlog_test

import (
	"crypto/rand"
	"errors"
	"log"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// serveRecorded serves until a signal comes, and writes down what is decided about the call
// chain of each call.
func serveRecorded(terminate <-chan os.Signal, lis net.Listener, creds credentials.TransportCredentials, config interceptors.ServerConfig, rules interceptors.Rules) (err error) {
	payments, source := spiffeid.RequireFromString("spiffe://shop.test/payments"), config.Bundles
	chainLog, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: "payments.jsonl", Logger: slog.Default(), Server: payments, Bundles: source,
	})
	if err != nil {
		return err
	}
	// Serve returns when GracefulStop has let the last call end; then the log is complete.
	defer func() { err = errors.Join(err, chainLog.Close()) }()
	guard, err := interceptors.NewServer(config, rules, interceptors.WithChainLog(chainLog))
	if err != nil {
		return err
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(creds))...)
	shopv1.RegisterPaymentsServiceServer(server, shopv1.UnimplementedPaymentsServiceServer{})
	if err := guard.CheckCoverage(server); err != nil {
		return err
	}
	go func() {
		<-terminate
		server.GracefulStop()
	}()
	return server.Serve(lis)
}

// A server that records what its guard decides about call chains: serveRecorded. The
// records of all services together are what trat audit takes.
func ExampleOpenFile() {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	lis, err := net.Listen("tcp", ":8443")
	if err != nil {
		log.Println(err)
		return
	}
	// What these are is in the example of interceptors.NewServer.
	var creds credentials.TransportCredentials
	var config interceptors.ServerConfig
	var rules interceptors.Rules
	log.Println(serveRecorded(terminate, lis, creds, config, rules))
}

// A key is 32 random bytes that the writer of a log and its auditors share; in a file, for
// trat audit, it stands as 64 hexadecimal digits.
func ExampleKey() {
	key := make(chainlog.Key, 32)
	_, _ = rand.Read(key) // does not fail
	_ = chainlog.FileConfig{Path: "payments.jsonl", Key: key}
}
