package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/trat"
)

const inspectHelp = `inspect shows what a token says. IT VERIFIES NOTHING: anyone can write a token
that says anything. To know whether one is good, use trat verify.

The token is read from a file or from standard input, never from the command
line, which everybody on the machine can see. The fingerprint is the SHA-256 by
which logs, spans and audit records name the token.

Exit status: 0 it is a Transaction Token by its form, 3 it is not; what can be
read of it is shown all the same.`

const inspectExample = `  trat inspect token.txt
  pbpaste | trat inspect
  trat inspect --output json < token.txt | jq .claims.tctx`

// inspection is the result of `trat inspect`.
type inspection struct {
	Verified bool `json:"verified"` // always false
	tokenView
	Problem *problem `json:"problem,omitempty"`
}

// problem is why something is not as it should be.
type problem struct {
	Reason trat.Reason `json:"reason"`
	Detail string      `json:"detail"`
	// Fields are the parameters that the token service blames.
	Fields []string `json:"fields,omitempty"`
}

func newProblem(err error) *problem {
	reason, _ := trat.ReasonOf(err)
	return &problem{Reason: reason, Detail: err.Error()}
}

func newInspect() *cobra.Command {
	var format output
	cmd := &cobra.Command{
		Use:     "inspect [FILE]",
		Short:   "Show what a token says, without verifying it",
		Long:    inspectHelp,
		Example: inspectExample,
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readToken(cmd, fileOf(args))
			if err != nil {
				return err
			}
			return inspect(raw, time.Now(), format, cmd.OutOrStdout())
		},
	}
	addOutput(cmd, &format)
	return cmd
}

func inspect(raw string, now time.Time, format output, stdout io.Writer) error {
	result := inspection{tokenView: viewToken(raw, now)}
	_, problem := trat.ParseUnverified(raw)
	if problem != nil {
		result.Problem = newProblem(problem)
	}
	err := format.show(stdout, result, func(w io.Writer) {
		fmt.Fprintln(w, "NOT VERIFIED: anyone can write a token that says this (see trat verify)")
		result.write(w)
		if problem != nil {
			fmt.Fprintln(w, "problem     ", problem)
		}
	})
	if problem != nil {
		return errors.Join(answerNo{fmt.Errorf("not a Transaction Token: %w", problem)}, err)
	}
	return err
}
