// Command tratd is the Transaction Token Service: trat.v1.TokenService over SPIFFE
// mTLS, with gRPC health beside it on the same address, and the HTTP form of RFC 8693 on
// another if the configuration says so.
//
//	tratd -config tratd.yaml                 serve until SIGTERM or SIGINT
//	tratd -config tratd.yaml -check-config   report every problem of the files and end
//	tratd -version                           version of this build
//
// It is a workload like any other: SPIFFE_ENDPOINT_SOCKET names the Workload API that
// gives it its X.509-SVID. Package internal/config describes the configuration file,
// package server/policy the policy file that it names. A policy with a rule that can never
// apply in this configuration is an error. Traces and metrics are exported
// over OTLP when OTEL_EXPORTER_OTLP_ENDPOINT is set. Logs go to standard error, and so do
// audit records unless the configuration names a file.
//
// When it serves, it logs "serving" with its addresses. It is ready later, once its
// signing key is active: the health service says SERVING then, and NOT_SERVING whenever
// its key or its SVID is missing. An issuer out of reach is logged; only the subject
// tokens of that issuer are refused.
//
// The policy file is followed while it runs, and looked at when SIGHUP comes. A bad one is
// logged and changes nothing: the last good policy stays in force. Both, issuers and
// policy, are names of the health service too: trat.v1.TokenService/issuers and
// trat.v1.TokenService/policy.
//
// Exit status: 0 done, 1 failed, 2 wrong use.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// gcPercent is GOGC where the environment does not set it. What a token service keeps is a
// few megabytes, and with Go's own 100 it would be gone through again after every fifty
// exchanges; this costs some 15 MB more memory instead.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns the exit status.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := run(ctx, args, stdout, stderr)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "tratd:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}
