// Command issuer is an OpenID Connect issuer for the users of the demo, and for
// nothing else: it asks for NO PASSWORD. Whoever reaches its token endpoint gets an
// access token for any of its users, so it serves loopback only.
//
// What a resource server sees of it is real: discovery, a JWK Set, and access
// tokens as in RFC 9068.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	stopTimeout       = 2 * time.Second
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("service", "issuer"))
	listen := flag.String("listen", "127.0.0.1:0", "loopback `address` to serve at")
	users := flag.String("users", "alice", "comma-separated `names` of users that get tokens without a password")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *listen, strings.Split(*users, ","))
	stop()
	if err != nil {
		slog.Error("cannot go on", "error", err)
		os.Exit(1)
	}
}

// serve runs the issuer at listen until ctx is done.
func serve(ctx context.Context, listen string, users []string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address: this issuer asks for no password", listener.Addr())
	}
	url := "http://" + addr.String()
	issuer, err := newIssuer(url, users, time.Now)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: issuer.handler(), ReadHeaderTimeout: readHeaderTimeout}
	stopped := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	defer stopped()

	slog.Warn("FOR THE DEMO ONLY: gives tokens without a password", "users", users)
	slog.Info("serving", "address", url)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
