package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
)

const devHelp = `dev runs a SPIFFE authority for development: it makes a certificate authority in
memory and serves the real SPIFFE Workload API, one unix socket per identity.
Point a workload's SPIFFE_ENDPOINT_SOCKET at its socket and it runs exactly as it
would beside a SPIRE agent.

FOR DEVELOPMENT ONLY. Whoever can open a socket is that workload: nothing else is
attested. The trust domain must end in ".test", and the sockets live in a
directory that only you can enter.

When every socket is served, dev prints one line of JSON on standard output:

  {"trust_domain":"shop.test","identities":[
    {"name":"orders","spiffe_id":"spiffe://shop.test/orders",
     "socket":"unix:///tmp/shop/orders.sock"}]}

and runs until it is interrupted.`

const devExample = `  trat dev --trust-domain shop.test --dir /tmp/shop \
    --identity tts --dns tts=tts.shop.test \
    --identity gateway --identity orders=/ns/shop/orders

  SPIFFE_ENDPOINT_SOCKET=unix:///tmp/shop/gateway.sock ./gateway`

// minSVIDLifetime is the least that package devauthority takes.
const minSVIDLifetime = 2 * time.Second

// devOptions are the flags of `trat dev`.
type devOptions struct {
	trustDomain  string
	dir          string
	identities   []string
	dnsNames     []string
	svidLifetime time.Duration
}

func newDev() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:     "dev",
		Short:   "Run a SPIFFE authority for development",
		Long:    devHelp,
		Example: devExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDev(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.trustDomain, "trust-domain", "", "trust `domain` to run; must end in \".test\" (required)")
	f.StringVar(&o.dir, "dir", "", "`directory` for the sockets; made with mode 0700, or must have it (required)")
	f.StringArrayVar(&o.identities, "identity", nil, "`name[=path]` of a workload: socket NAME.sock, SPIFFE ID path PATH (default /NAME); repeatable (required)")
	f.StringArrayVar(&o.dnsNames, "dns", nil, "`name=host` gives the SVID of an --identity a DNS name, for clients that only know host names; must end in \".test\"; repeatable")
	f.DurationVar(&o.svidLifetime, "svid-lifetime", devauthority.DefaultSVIDLifetime, "`lifetime` of an X.509-SVID; renewed at half of it")
	return cmd
}

// identity is one workload that `trat dev` serves, as printed when it is ready.
type identity struct {
	Name     string      `json:"name"`
	SPIFFEID spiffeid.ID `json:"spiffe_id"`
	Socket   string      `json:"socket"`
}

// ready is the line on standard output that says that every socket is served.
type ready struct {
	TrustDomain string     `json:"trust_domain"`
	Identities  []identity `json:"identities"`
}

// runDev serves until ctx is done, which is the normal end.
func runDev(ctx context.Context, o devOptions, stdout, stderr io.Writer) (err error) {
	td, identities, options, err := o.check()
	if err != nil {
		return usageError{err}
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	options = append(options, devauthority.WithSVIDLifetime(o.svidLifetime), devauthority.WithLogger(log))
	authority, err := devauthority.New(td, options...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, authority.Close()) }()

	for i, id := range identities {
		identities[i].Socket, err = authority.Listen(o.dir, id.Name, id.SPIFFEID)
		if err != nil {
			return err
		}
	}
	log.Warn("FOR DEVELOPMENT ONLY: whoever can open a socket of this directory is that workload",
		"dir", o.dir, "trust_domain", td.Name())
	if err := json.NewEncoder(stdout).Encode(ready{td.Name(), identities}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// check reports everything that is wrong with the flags at once.
func (o devOptions) check() (spiffeid.TrustDomain, []identity, []devauthority.Option, error) {
	var problems []error
	td, err := spiffeid.TrustDomainFromString(o.trustDomain)
	switch {
	case o.trustDomain == "":
		problems = append(problems, errors.New("--trust-domain is required"))
	case err != nil:
		problems = append(problems, fmt.Errorf("--trust-domain: %w", err))
	case !strings.HasSuffix(td.Name(), ".test"):
		problems = append(problems, errors.New(`--trust-domain must end in ".test": this authority is for development only`))
	}
	if o.dir == "" {
		problems = append(problems, errors.New("--dir is required"))
	}
	if o.svidLifetime < minSVIDLifetime {
		problems = append(problems, fmt.Errorf("--svid-lifetime must be at least %s", minSVIDLifetime))
	}
	if len(o.identities) == 0 {
		problems = append(problems, errors.New("--identity is required at least once"))
	}
	identities := make([]identity, 0, len(o.identities))
	names := make(map[string]bool)
	for _, text := range o.identities {
		id, err := parseIdentity(td, text)
		if err == nil && names[id.Name] {
			err = errors.New("the name is used twice")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("--identity %q: %w", text, err))
		}
		names[id.Name] = true
		identities = append(identities, id)
	}
	dns, more := o.checkDNS(identities)
	return td, identities, dns, errors.Join(append(problems, more...)...)
}

// checkDNS reads the flags --dns, each of which names one of identities.
func (o devOptions) checkDNS(identities []identity) (options []devauthority.Option, problems []error) {
	for _, text := range o.dnsNames {
		name, host, found := strings.Cut(text, "=")
		at := slices.IndexFunc(identities, func(id identity) bool { return id.Name == name })
		err := devauthority.CheckDNSName(host)
		switch {
		case !found || name == "":
			err = errors.New("want NAME=HOST")
		case at < 0:
			err = fmt.Errorf("there is no --identity %q", name)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("--dns %q: %w", text, err))
			continue
		}
		options = append(options, devauthority.WithDNSNames(identities[at].SPIFFEID, host))
	}
	return options, problems
}

// parseIdentity reads "name" or "name=path". The name becomes a file name, so it
// may not be more than one.
func parseIdentity(td spiffeid.TrustDomain, text string) (identity, error) {
	name, path, found := strings.Cut(text, "=")
	if !found {
		path = "/" + name
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return identity{}, errors.New("the name must be one file name")
	}
	if td.IsZero() {
		return identity{Name: name}, spiffeid.ValidatePath(path)
	}
	id, err := spiffeid.FromPath(td, path)
	return identity{Name: name, SPIFFEID: id}, err
}
