package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

const requestHelp = `request asks the token service for a Transaction Token, as the workload that the
Workload API at SPIFFE_ENDPOINT_SOCKET says this process is, and prints the token
once it is verified.

The subject token, the credential that the transaction starts from, is read from
a file or from standard input, never from the command line, which everybody on
the machine can see. With --sign-subject there is none: the workload itself
vouches for the subject, if policy lets it.

WHAT IS PRINTED IS A CREDENTIAL: who has it can act in the transaction until it
expires. --output json prints it with its claims.

Exit status: 0 the token is printed, 3 the token service refuses (the reason is on
standard error, and on standard output with --output json), 1 there is no
answer, 2 wrong use.`

const requestExample = `  trat request --address 127.0.0.1:8443 --server-id spiffe://shop.test/tts \
    --issuer https://tts.shop.test --scope order.create \
    --subject-token-file access-token.txt \
    --details '{"action":"order.create","sku":"teapot","quantity":2,"amount_cents":4990}'

  trat request ... --scope stock.count --sign-subject stock-count
  trat request ... --scope order.create --subject-token-type txn_token < token.txt`

// subjectTokenTypes are the short names of subject token types. Any other type goes by
// its URI.
var subjectTokenTypes = map[string]client.SubjectTokenType{
	"access_token":  trat.TokenTypeAccessToken,
	"id_token":      trat.TokenTypeIDToken,
	"jwt":           trat.TokenTypeJWT,
	"self_signed":   trat.TokenTypeSelfSigned,
	"unsigned_json": trat.TokenTypeUnsignedJSON,
	"txn_token":     trat.TokenType,
}

// shortNames are those of subjectTokenTypes, in order.
func shortNames() []string {
	names := make([]string, 0, len(subjectTokenTypes))
	for name := range subjectTokenTypes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// requestOptions are the flags of `trat request`.
type requestOptions struct {
	service     serviceOptions
	scope       string
	subjectFile string
	subjectType string
	signSubject string
	context     string
	details     string
	requestID   string
	chainFile   string
	format      output
}

func newRequest() *cobra.Command {
	var o requestOptions
	cmd := &cobra.Command{
		Use:     "request",
		Short:   "Ask the token service for a Transaction Token",
		Long:    requestHelp,
		Example: requestExample,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.service.add(cmd, " (required)")
	f := cmd.Flags()
	f.StringVar(&o.scope, "scope", "", "`purpose` of the transaction: scope tokens with a space between them (required)")
	f.StringVar(&o.subjectFile, "subject-token-file", stdinName, "`file` with the subject token; - is standard input")
	f.StringVar(&o.subjectType, "subject-token-type", "access_token", "`type` of the subject token: "+strings.Join(shortNames(), ", ")+", or a URI")
	f.StringVar(&o.signSubject, "sign-subject", "", "`name` of a subject that the workload vouches for itself, in place of a subject token")
	f.StringVar(&o.context, "context", "", "request_context: `JSON` object, or @FILE")
	f.StringVar(&o.details, "details", "", "request_details: `JSON` object, or @FILE")
	f.StringVar(&o.chainFile, "call-chain-file", "", "`file` with the receipt of the call chain by which a txn_token came to this workload")
	f.StringVar(&o.requestID, "request-id", "", "`name` of this request in logs; a repeated one gets the same answer within 5 s")
	addOutput(cmd, &o.format)
	complete(cmd, "subject-token-type", shortNames()...)
	for _, name := range []string{"scope", "sign-subject", "request-id"} {
		noFiles(cmd, name)
	}
	return cmd
}

// issued is the result of `trat request --output json`.
type issued struct {
	Token string `json:"access_token,omitempty"`
	*tokenView
	Problem *problem `json:"problem,omitempty"`
}

func (o *requestOptions) run(cmd *cobra.Command) error {
	cfg, problems := o.service.config()
	request, more := o.request(cmd)
	if err := errors.Join(append(problems, more...)...); err != nil {
		return usageError{err}
	}
	if o.signSubject == "" {
		var err error
		if request.SubjectToken, err = readToken(cmd, o.subjectFile); err != nil {
			return fmt.Errorf("subject token: %w", err)
		}
	}
	if o.chainFile != "" {
		var err error
		if request.CallChain, err = readToken(cmd, o.chainFile); err != nil {
			return fmt.Errorf("call chain: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.service.timeout)
	defer cancel()
	return withClient(ctx, cfg, func(c *client.Client) error {
		token, err := o.exchange(ctx, c, request)
		if err != nil {
			return o.refused(cmd.OutOrStdout(), err)
		}
		return o.print(cmd, token)
	})
}

// request checks the flags and returns what they ask for, without the subject token.
func (o *requestOptions) request(cmd *cobra.Command) (r client.Request, problems []error) {
	bad := func(flag string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	r = client.Request{Scope: o.scope, RequestID: o.requestID}
	if o.scope == "" {
		problems = append(problems, errors.New("--scope is required"))
	}
	if o.signSubject != "" && (cmd.Flags().Changed("subject-token-file") || cmd.Flags().Changed("subject-token-type")) {
		problems = append(problems, errors.New("--sign-subject takes the place of --subject-token-file and --subject-token-type"))
	}
	var err error
	r.SubjectTokenType, err = subjectTokenType(o.subjectType)
	bad("subject-token-type", err)
	r.Context, err = readObject(cmd, o.context)
	bad("context", err)
	r.Details, err = readObject(cmd, o.details)
	bad("details", err)
	if o.chainFile != "" && (r.SubjectTokenType != trat.TokenType || o.signSubject != "") {
		problems = append(problems, errors.New("--call-chain-file goes with --subject-token-type txn_token"))
	}
	if o.chainFile == stdinName && o.subjectFile == stdinName {
		problems = append(problems, errors.New("--call-chain-file and --subject-token-file cannot both be standard input"))
	}
	return r, problems
}

// subjectTokenType reads a short name or a URI.
func subjectTokenType(text string) (client.SubjectTokenType, error) {
	if uri, ok := subjectTokenTypes[text]; ok {
		return uri, nil
	}
	if !strings.Contains(text, ":") {
		return "", fmt.Errorf("want one of %s, or a URI", strings.Join(shortNames(), ", "))
	}
	return client.SubjectTokenType(text), nil
}

func (o *requestOptions) exchange(ctx context.Context, c *client.Client, r client.Request) (*trat.Token, error) {
	if o.signSubject != "" {
		subject, err := c.SignSubject(client.Subject{Name: o.signSubject})
		if err != nil {
			return nil, err
		}
		r.SubjectToken, r.SubjectTokenType = subject, client.SelfSigned
	}
	return c.Exchange(ctx, r)
}

// noDecision are reasons of a token service that could not decide.
var noDecision = []trat.Reason{
	trat.ReasonDependencyUnavailable, trat.ReasonKeysUnavailable, trat.ReasonPolicyUnavailable, trat.ReasonInternal, trat.ReasonRateLimited,
}

// refused tells a decision of the token service from the want of one.
func (o *requestOptions) refused(stdout io.Writer, err error) error {
	if reason, ok := trat.ReasonOf(err); !ok || slices.Contains(noDecision, reason) {
		return err
	}
	no := answerNo{err}
	if o.format != outputJSON {
		return no
	}
	why := newProblem(err)
	why.Fields = fieldsOf(err)
	return errors.Join(no, o.format.show(stdout, issued{Problem: why}, nil))
}

// fieldsOf are the fields that err's tree names, in its order.
func fieldsOf(err error) []string {
	if e, ok := err.(*trat.Error); ok && e.Field != "" { //nolint:errorlint // one node at a time: what follows unwraps
		return []string{e.Field}
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		return fieldsOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		var fields []string
		for _, child := range e.Unwrap() {
			fields = append(fields, fieldsOf(child)...)
		}
		return fields
	}
	return nil
}

func (o *requestOptions) print(cmd *cobra.Command, token *trat.Token) error {
	raw := token.UnsafeRaw() //nolint:forbidigo // whoever runs this command asks for it
	view := viewToken(raw, time.Now())
	fmt.Fprintf(cmd.ErrOrStderr(), "trat: what is printed is a credential, good until %s; do not keep it in a log or in a shell's history\n",
		token.Expiry().UTC().Format(time.RFC3339))
	return o.format.show(cmd.OutOrStdout(), issued{Token: raw, tokenView: &view}, func(w io.Writer) {
		fmt.Fprintln(w, raw)
	})
}
