// Command trat is the command line tool of grpc-trat.
//
//	trat request           ask the token service for a Transaction Token
//	trat inspect           show what a token says, without verifying it
//	trat verify            verify a Transaction Token
//	trat policy check      check a policy file
//	trat policy test       run the tests of a policy
//	trat policy explain    show what a policy decides, and why
//	trat rules list        show what the methods of services require
//	trat rules check       find what became looser in the rules of methods
//	trat rules doc         make a page of the rules of methods
//	trat audit             rebuild and check transactions from the records of servers
//	trat audit verify-log  check that an audit log is complete
//	trat health            health of a server, asked over SPIFFE mutual TLS
//	trat svid write        X.509-SVID, key and bundle of this workload, as files
//	trat dev               a SPIFFE authority for development, in one process
//	trat version           version of this build
//
// Exit status, of every command: 0 done, or the answer is yes; 1 failed, so that there is
// no answer; 2 wrong use; 3 the answer is no.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, args, stdin, stdout, stderr)
}

// execute runs one command line until it ends or ctx does, and returns the exit
// status. Results go to stdout, everything for a person's eyes to stderr.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return exitStatus(root.ExecuteContext(ctx), stderr)
}

const rootHelp = `trat works with OAuth Transaction Tokens (TraTs) for gRPC.

A TraT is a short-lived signed token that fixes who started a transaction, what
for and with which parameters; every service behind the edge verifies it before
any handler runs.

Exit status, of every command:
  0  done, or the answer is yes
  1  failed: there is no answer
  2  wrong use
  3  the answer is no: a token is not valid, a test failed, a log has gaps`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "trat",
		Short:         "Work with OAuth Transaction Tokens for gRPC",
		Long:          rootHelp,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())}
	})
	root.AddCommand(newRequest(), newInspect(), newVerify(), newPolicy(), newRules(), newAudit(chainaudit.Run), newHealth(), newSVID(), newDev(), newVersion())
	return root
}

// newGroup returns a command that does nothing but hold others.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(commands...)
	return group
}

// noArgs refuses arguments, so that a mistyped command is not taken for the root.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case looksLikeToken(args[0]):
		return errTokenAsArgument
	}
	return usageError{fmt.Errorf("%s takes no argument %q (see %s --help)", cmd.CommandPath(), args[0], cmd.CommandPath())}
}
