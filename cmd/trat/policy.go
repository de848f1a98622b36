package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/policy"
)

const policyHelp = `policy works on policy files without a token service: it checks them, runs their
tests and explains decisions. With --config a policy is also held to a
configuration of tratd: a rule that can never apply there is a problem. Secrets
that the configuration names are not read. Rules that satisfy methods are held to
the descriptor sets that --descriptors names, or else the configuration.`

func newPolicy() *cobra.Command {
	group := newGroup("policy", "Check, test and explain an issuance policy",
		newPolicyCheck(), newPolicyTest(), newPolicyExplain())
	group.Long = policyHelp
	return group
}

// policyOptions are the flags that all commands about a policy have.
type policyOptions struct {
	config      string
	descriptors []string
	format      output
}

func (o *policyOptions) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.config, "config", "", "configuration `file` of the tratd that the policy is for")
	cmd.Flags().StringArrayVar(&o.descriptors, "descriptors", nil, "descriptor set `file` of services whose methods the policy satisfies; may be given more than once")
	addOutput(cmd, &o.format)
}

// badPolicyError is the problems of a policy.
type badPolicyError struct{ error }

func (e badPolicyError) Unwrap() error { return e.error }

// load compiles the policy in the file of the given name. A bad policy is a
// badPolicyError.
func (o *policyOptions) load(cmd *cobra.Command, name string) (*policy.Policy, error) {
	parse, err := o.parser(cmd)
	if err != nil {
		return nil, err
	}
	text, err := readInput(cmd, name, policy.MaxFileSize)
	if err != nil {
		return nil, err
	}
	p, err := parse(text)
	if err != nil {
		return nil, badPolicyError{err}
	}
	return p, nil
}

// parser returns what compiles a policy for the configuration and descriptor sets that the
// flags name.
func (o *policyOptions) parser(cmd *cobra.Command) (func([]byte) (*policy.Policy, error), error) {
	var sets []policy.Descriptors
	for _, name := range o.descriptors {
		set, err := readSet(cmd, name)
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	if o.config == "" {
		return func(text []byte) (*policy.Policy, error) { return policy.ParseWith(text, sets...) }, nil
	}
	options := []config.Option{config.WithoutFiles()}
	if len(sets) > 0 {
		options = append(options, config.WithDescriptors(sets...))
	}
	cfg, err := config.Load(o.config, options...)
	if err != nil {
		return nil, err
	}
	return cfg.ParsePolicy, nil
}

// policyProblem is one thing wrong with a policy.
type policyProblem struct {
	Line  int    `json:"line,omitempty"`
	Rule  string `json:"rule,omitempty"`
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
}

// policyProblems are those that err joins.
func policyProblems(err error) []policyProblem {
	all := joined(err)
	problems := make([]policyProblem, len(all))
	for i, err := range all {
		problems[i] = policyProblem{Text: err.Error()}
		if p, ok := errors.AsType[*policy.Problem](err); ok {
			problems[i] = policyProblem{Line: p.Line, Rule: p.Rule, Field: p.Field, Text: p.Text}
		}
	}
	return problems
}

const policyCheckHelp = `check says whether a policy file is good: of the format, without overlapping rules,
and with expressions that can be evaluated. It reports every problem at once.

Exit status: 0 good, 3 not good, 1 it could not be read, 2 wrong use.`

const policyCheckExample = `  trat policy check policy.yaml
  trat policy check policy.yaml --config tratd.yaml --output json
  trat policy check policy.yaml --descriptors shop.binpb`

// policyVerdict is the result of `trat policy check`.
type policyVerdict struct {
	Good     bool            `json:"good"`
	Version  string          `json:"version,omitempty"`
	PDPs     []string        `json:"pdps,omitempty"`
	Problems []policyProblem `json:"problems,omitempty"`
}

func newPolicyCheck() *cobra.Command {
	var o policyOptions
	cmd := &cobra.Command{
		Use:     "check POLICY",
		Short:   "Check a policy file",
		Long:    policyCheckHelp,
		Example: policyCheckExample,
		Args:    files("POLICY", 1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := o.load(cmd, args[0])
			bad, isBad := errors.AsType[badPolicyError](err)
			if err != nil && !isBad {
				return err
			}
			verdict := policyVerdict{Good: err == nil}
			if err == nil {
				verdict.Version, verdict.PDPs = p.Version(), p.PDPs()
			} else {
				verdict.Problems = policyProblems(bad.error)
			}
			printErr := o.format.show(cmd.OutOrStdout(), verdict, func(w io.Writer) {
				if err == nil {
					fmt.Fprintf(w, "good: version %s\n", verdict.Version)
					return
				}
				fmt.Fprintln(w, bad)
			})
			if err != nil {
				return errors.Join(answerNo{fmt.Errorf("%s: the policy is not good", args[0])}, printErr)
			}
			return printErr
		},
	}
	o.add(cmd)
	return cmd
}

// files is for commands that need so many files.
func files(names string, least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if slices.ContainsFunc(args, looksLikeToken) {
			return errTokenAsArgument
		}
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("%s takes %s (see %s --help)", cmd.CommandPath(), names, cmd.CommandPath())}
		}
		return nil
	}
}
