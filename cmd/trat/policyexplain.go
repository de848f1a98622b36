package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/policy/policytest"
	"github.com/grpc-trat/grpc-trat/trat"
)

const policyExplainHelp = `explain decides one request and says which rule decided, and why each other one did
not. The request is read from a file or from standard input, in the form that
requests have in table files (see trat policy test --help):

  requester: spiffe://shop.test/gateway
  subject_token_type: urn:ietf:params:oauth:token-type:access_token
  subject: {issuer: https://login.shop.test, id: shop:u1, scopes: [orders:write]}
  scope: order.create
  details: {order_id: 7}

Exit status: 0 something is granted, 3 nothing is, 1 the policy or the request is not
good, 2 wrong use.`

const policyExplainExample = `  trat policy explain policy.yaml request.yaml
  trat policy explain policy.yaml --output json < request.yaml`

// explanation is the result of `trat policy explain`.
type explanation struct {
	Granted bool              `json:"granted"`
	Rule    string            `json:"rule,omitempty"`
	Reason  trat.Reason       `json:"reason,omitempty"`
	Detail  string            `json:"detail,omitempty"`
	Grant   *grantView        `json:"grant,omitempty"`
	Rules   []ruleExplanation `json:"rules"`
}

// grantView is a grant, in the words of the policy file.
type grantView struct {
	Scope        string           `json:"scope"`
	Lifetime     string           `json:"lifetime"`
	AllowOutlive bool             `json:"allow_outlive,omitempty"`
	TCtx         *trat.Object     `json:"tctx,omitempty"`
	RCtx         *trat.Object     `json:"rctx,omitempty"`
	Dropped      []string         `json:"dropped,omitempty"`
	Evaluation   *evaluationView  `json:"access_evaluation,omitempty"`
	Replacement  *replacementView `json:"replacement,omitempty"`
}

type evaluationView struct {
	PDP     string `json:"pdp"`
	OnError string `json:"on_error"`
}

type replacementView struct {
	ExtendLifetime bool   `json:"extend_lifetime"`
	MaxAge         string `json:"max_age"`
	Receipt        string `json:"receipt"`
}

type ruleExplanation struct {
	Name    string `json:"name"`
	Line    int    `json:"line"`
	Decided bool   `json:"decided"`
	Field   string `json:"field,omitempty"`
	Text    string `json:"text,omitempty"`
}

func newPolicyExplain() *cobra.Command {
	var o policyOptions
	cmd := &cobra.Command{
		Use:     "explain POLICY [REQUEST]",
		Short:   "Show what a policy decides, and why",
		Long:    policyExplainHelp,
		Example: policyExplainExample,
		Args:    files("POLICY and at most one REQUEST", 1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := o.load(cmd, args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			text, err := readInput(cmd, fileOf(args[1:]), policy.MaxFileSize)
			if err != nil {
				return err
			}
			request, err := policytest.ParseRequest(text)
			if err != nil {
				return fmt.Errorf("%s: %w", fileOf(args[1:]), err)
			}
			decided := p.Explain(request)
			result := newExplanation(decided)
			err = o.format.show(cmd.OutOrStdout(), result, result.write)
			if decided.Err != nil {
				return errors.Join(answerNo{fmt.Errorf("nothing is granted: %w", decided.Err)}, err)
			}
			return err
		},
	}
	o.add(cmd)
	return cmd
}

func newExplanation(e policy.Explanation) explanation {
	out := explanation{Granted: e.Err == nil, Rule: e.Rule, Reason: e.Reason(), Rules: make([]ruleExplanation, len(e.Rules))}
	for i, r := range e.Rules {
		out.Rules[i] = ruleExplanation(r)
	}
	if e.Err != nil {
		out.Detail = e.Err.Error()
		return out
	}
	g := e.Grant
	out.Grant = &grantView{
		Scope: g.Scope.String(), Lifetime: g.Lifetime.String(), AllowOutlive: g.AllowOutlive, Dropped: g.Dropped,
	}
	if !g.TransactionContext.IsZero() {
		out.Grant.TCtx = &g.TransactionContext
	}
	if !g.RequestContext.IsZero() {
		out.Grant.RCtx = &g.RequestContext
	}
	if g.Evaluation != nil {
		out.Grant.Evaluation = &evaluationView{PDP: g.Evaluation.PDP, OnError: "deny"}
		if g.Evaluation.FailOpen {
			out.Grant.Evaluation.OnError = "allow"
		}
	}
	if g.Replacement != nil {
		out.Grant.Replacement = &replacementView{ExtendLifetime: g.Replacement.ExtendLifetime, MaxAge: g.Replacement.MaxAge.String(), Receipt: "path"}
		if g.Replacement.HeadReceipt {
			out.Grant.Replacement.Receipt = "head"
		}
	}
	return out
}

// write prints e for a person.
func (e explanation) write(w io.Writer) {
	if e.Granted {
		fmt.Fprintf(w, "granted by rule %s\n", e.Rule)
		e.Grant.write(w)
	} else {
		fmt.Fprintf(w, "refused: %s\n", e.Detail)
	}
	fmt.Fprintln(w, "rules")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range e.Rules {
		verdict := r.Text
		switch {
		case r.Decided:
			verdict = "decided"
		case r.Field != "":
			verdict = r.Field + ": " + r.Text
		}
		fmt.Fprintf(table, "  %s\tline %d\t%s\n", r.Name, r.Line, verdict)
	}
	_ = table.Flush() // w is memory
}

func (g *grantView) write(w io.Writer) {
	fmt.Fprintf(w, "  scope     %s\n  lifetime  %s\n", g.Scope, g.Lifetime)
	if g.AllowOutlive {
		fmt.Fprintln(w, "            and may outlive the subject token")
	}
	for _, claim := range []struct {
		name  string
		value *trat.Object
	}{{"tctx", g.TCtx}, {"rctx", g.RCtx}} {
		if claim.value != nil {
			fmt.Fprintf(w, "  %s      %s\n", claim.name, claim.value.JSON())
		}
	}
	if len(g.Dropped) > 0 {
		fmt.Fprintf(w, "  dropped   %s\n", strings.Join(g.Dropped, ", "))
	}
	if g.Evaluation != nil {
		fmt.Fprintf(w, "  asks      %s; on an error: %s\n", g.Evaluation.PDP, g.Evaluation.OnError)
	}
	if g.Replacement != nil {
		fmt.Fprintf(w, "  replaces  until %s after the start, lifetime extended: %t; receipt: %s\n",
			g.Replacement.MaxAge, g.Replacement.ExtendLifetime, g.Replacement.Receipt)
	}
}
