package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

const verifyHelp = `verify says whether a Transaction Token is valid now, for a trust domain and an
issuer, exactly as the guard of a service would: signature, type, algorithm,
issuer, audience, times, claims and size.

The keys come from a file (--jwks) or from a running token service (--address and
--server-id), asked over SPIFFE mutual TLS as the workload that the Workload API
at SPIFFE_ENDPOINT_SOCKET says this process is.

The token is read from a file or from standard input, never from the command
line, which everybody on the machine can see.

Exit status: 0 the token is valid, 3 it is not (the reason is printed), 1 it could
not be judged, 2 wrong use.`

const verifyExample = `  trat verify --jwks keys.json --issuer https://tts.shop.test --trust-domain shop.test token.txt

  trat verify --address 127.0.0.1:8443 --server-id spiffe://shop.test/tts \
    --issuer https://tts.shop.test < token.txt`

// maxJWKS is the longest key set that is read; trat.ParseJWKS has the same bound.
const maxJWKS = 64 << 10

// verifyOptions are the flags of `trat verify`.
type verifyOptions struct {
	service    serviceOptions
	jwks       string
	algorithms []string
	format     output
}

func newVerify() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:     "verify [FILE]",
		Short:   "Verify a Transaction Token",
		Long:    verifyHelp,
		Example: verifyExample,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd, fileOf(args)) },
	}
	o.service.add(cmd, " (or --jwks)")
	f := cmd.Flags()
	f.StringVar(&o.jwks, "jwks", "", "`file` with the token service's keys, a JWK Set")
	f.StringSliceVar(&o.algorithms, "algorithms", []string{string(trat.ES256)}, "`names` of the algorithms that are accepted")
	addOutput(cmd, &o.format)
	complete(cmd, "algorithms", algorithmNames()...)
	return cmd
}

func algorithmNames() []string {
	return []string{string(trat.ES256), string(trat.EdDSA), string(trat.PS256), string(trat.RS256)}
}

// verification is the result of `trat verify`.
type verification struct {
	Valid bool `json:"valid"`
	tokenView
	Problem *problem `json:"problem,omitempty"`
}

func (o *verifyOptions) run(cmd *cobra.Command, file string) error {
	verify, err := o.verifier(cmd)
	if err != nil {
		return err
	}
	raw, err := readToken(cmd, file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.service.timeout)
	defer cancel()
	problem, err := verify(ctx, raw)
	if err != nil {
		return err
	}
	result := verification{Valid: problem == nil, tokenView: viewToken(raw, time.Now())}
	if problem != nil {
		result.Problem = newProblem(problem)
	}
	err = o.format.show(cmd.OutOrStdout(), result, func(w io.Writer) {
		if problem != nil {
			fmt.Fprintln(w, "NOT VALID:", problem)
		} else {
			fmt.Fprintln(w, "valid")
		}
		result.write(w)
	})
	if problem != nil {
		return errors.Join(answerNo{fmt.Errorf("the token is not valid: %w", problem)}, err)
	}
	return err
}

// judge says what is wrong with a token; nil if it is valid. With an error it could not be
// judged.
type judge func(ctx context.Context, raw string) (problem, err error)

// verifier checks the flags and returns what judges a token.
func (o *verifyOptions) verifier(cmd *cobra.Command) (judge, error) {
	var problems []error
	algorithms := make([]trat.Algorithm, len(o.algorithms))
	for i, name := range o.algorithms {
		if algorithms[i] = trat.Algorithm(name); !slices.Contains(algorithmNames(), name) {
			problems = append(problems, fmt.Errorf("--algorithms: %q is not one of %v", name, algorithmNames()))
		}
	}
	allowed := trat.WithAlgorithms(algorithms...)
	if o.jwks == "" {
		cfg, more := o.service.config()
		if o.service.address == "" && o.service.serverID == "" {
			more = append(more, errors.New("or --jwks in place of --address and --server-id"))
		}
		if err := errors.Join(append(problems, more...)...); err != nil {
			return nil, usageError{err}
		}
		return func(ctx context.Context, raw string) (problem, err error) { return askService(ctx, cfg, raw, allowed) }, nil
	}
	if o.service.address != "" || o.service.serverID != "" {
		problems = append(problems, errors.New("--jwks takes the place of --address and --server-id"))
	}
	if o.service.issuer == "" {
		problems = append(problems, errors.New("--issuer is required"))
	}
	td, err := spiffeid.TrustDomainFromString(o.service.trustDomain)
	switch {
	case o.service.trustDomain == "":
		problems = append(problems, errors.New("--trust-domain is required with --jwks"))
	case err != nil:
		problems = append(problems, fmt.Errorf("--trust-domain: %w", err))
	}
	if o.service.timeout <= 0 {
		problems = append(problems, errTimeout)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, usageError{err}
	}
	text, err := readInput(cmd, o.jwks, maxJWKS)
	if err != nil {
		return nil, err
	}
	keys, err := trat.ParseJWKS(text)
	if err != nil {
		return nil, fmt.Errorf("--jwks: %w", err)
	}
	verifier, err := trat.NewVerifier(td.Name(), o.service.issuer, keys, allowed, trat.WithCacheSize(0))
	if err != nil {
		return nil, usageError{err}
	}
	return func(_ context.Context, raw string) (problem, err error) { return verdict(verifier, raw) }, nil
}

// askService verifies with the keys of a running token service.
func askService(ctx context.Context, cfg client.Config, raw string, allowed trat.VerifierOption) (problem, err error) {
	err = withClient(ctx, cfg, func(c *client.Client) error {
		if err := c.WaitReady(ctx); err != nil {
			return err
		}
		verifier, err := trat.NewVerifier(cfg.TrustDomain.Name(), cfg.Issuer, c.KeySet(), allowed, trat.WithCacheSize(0))
		if err != nil {
			return err
		}
		problem, err = verdict(verifier, raw)
		return err
	})
	return problem, err
}

// verdict tells a token that is not valid from one that could not be judged.
func verdict(verifier *trat.Verifier, raw string) (problem, err error) {
	_, err = verifier.Verify(raw)
	if reason, ok := trat.ReasonOf(err); ok && reason != trat.ReasonKeysUnavailable {
		return err, nil
	}
	return nil, err
}
