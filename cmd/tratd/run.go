package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
)

// usageError is a command line that cannot be carried out as written.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run carries one command line out. Serving ends, without an error, when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("tratd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "", "configuration `file` (required)")
	check := flags.Bool("check-config", false, "report every problem of the configuration and the policy, and end")
	version := flags.Bool("version", false, "print the version of this build, and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return usageError{err}
	case flags.NArg() > 0:
		return usageError{fmt.Errorf("takes no argument %q (see tratd -help)", flags.Arg(0))}
	case *version:
		_, err := fmt.Fprintln(stdout, "tratd", buildVersion())
		return err
	case *path == "":
		return usageError{errors.New("-config is required (see tratd -help)")}
	}
	cfg, err := loadFiles(*path)
	if err != nil {
		return err
	}
	if *check {
		_, err := fmt.Fprintln(stdout, "configuration and policy are good")
		return err
	}
	return serve(ctx, cfg, stderr)
}

// buildVersion is the module version that the Go toolchain recorded.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
