package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// build is the result of `trat version`.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion() *cobra.Command {
	var format output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this build",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			return format.show(cmd.OutOrStdout(), b, func(w io.Writer) {
				fmt.Fprintln(w, strings.Join(strings.Fields("trat "+b.Version+" "+b.Revision+" "+b.Go+" "+b.Platform), " "))
			})
		},
	}
	addOutput(cmd, &format)
	return cmd
}

// thisBuild is what the Go toolchain recorded: the module version of an installed
// build, the commit of one made in a checkout.
func thisBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Revision = s.Value
			}
		}
	}
	return b
}
