package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

const rulesHelp = `rules works on the rules that stand beside RPCs in proto files (trat/v1/rules.proto):
what each method requires of the TraT, the call chain, the caller and the request. It
reads them from descriptor sets, which must have their imports:

  buf build -o rules.binpb
  protoc --include_imports --include_source_info --descriptor_set_out=rules.binpb ...

Rules that a program gives in code are not in a descriptor set. A method without a rule
beside it is denied, unless code has one.`

func newRules() *cobra.Command {
	group := newGroup("rules", "List, compare and document the rules of methods",
		newRulesList(), newRulesCheck(), newRulesDoc())
	group.Long = rulesHelp
	return group
}

// rulesOptions are the flags that all commands about rules have.
type rulesOptions struct {
	overlay string
	format  output
}

func (o *rulesOptions) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.overlay, "overlay", "", "`file` with what a platform team demands beyond the rules, YAML")
	addOutput(cmd, &o.format)
}

// readOverlay reads the file of --overlay, nil without; names are the other files.
func (o *rulesOptions) readOverlay(cmd *cobra.Command, names []string) (rules.Overlay, error) {
	if countOf(append([]string{o.overlay}, names...), stdinName) > 1 {
		return nil, usageError{errors.New("standard input can be read once")}
	}
	if o.overlay == "" {
		return nil, nil
	}
	text, err := readInput(cmd, o.overlay, rules.MaxOverlaySize)
	if err != nil {
		return nil, fmt.Errorf("--overlay: %w", err)
	}
	overlay, err := rules.ParseOverlay(text)
	if err != nil {
		return nil, fmt.Errorf("--overlay: %s: %w", o.overlay, err)
	}
	return overlay, nil
}
