package service

import (
	"errors"
	"flag"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Config is what every workload of the shop has to be told. Where its own identity
// comes from is not in here: that is SPIFFE_ENDPOINT_SOCKET.
type Config struct {
	// Name is the service's name in logs and traces.
	Name string
	// Listen is the address to serve at, "host:port".
	Listen string
	// TrustDomain is the audience of the tokens that this service accepts.
	TrustDomain spiffeid.TrustDomain
	// TokenService is where the Transaction Token Service is, and what it has to
	// prove to be.
	TokenService Peer
	// Issuer is the "iss" of its tokens.
	Issuer string
	// ChainLog is the file for records of call chains; without it there are none.
	ChainLog string
}

// Peer is another workload: where it is, and the exact identity it has to prove.
type Peer struct {
	Address string
	ID      spiffeid.ID
}

// Flags reads a service's command line. There are no defaults for anything that
// decides whom the service trusts: a flag that is not given is an error, but for
// -chain-log.
type Flags struct {
	Config
	set *flag.FlagSet
}

// chainLog is the name of the only flag that may be left out.
const chainLog = "chain-log"

// NewFlags returns the flags that all services of the shop have.
func NewFlags(name string) *Flags {
	f := &Flags{Config: Config{Name: name}, set: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.set.StringVar(&f.Listen, "listen", "", "`address` to serve at")
	f.set.TextVar(&f.TrustDomain, "trust-domain", spiffeid.TrustDomain{}, "trust `domain` of the shop")
	f.set.StringVar(&f.Issuer, "issuer", "", "`URL` that the token service puts into iss")
	f.Peer(&f.TokenService, "tts", "the token service")
	return f
}

// Peer adds the two flags of another workload: -name and -name-id.
func (f *Flags) Peer(p *Peer, name, what string) {
	f.set.StringVar(&p.Address, name, "", "`address` of "+what)
	f.set.TextVar(&p.ID, name+"-id", spiffeid.ID{}, "`SPIFFE ID` of "+what)
}

// Guarded adds the flag of services that serve behind the guard.
func (f *Flags) Guarded() {
	f.set.StringVar(&f.ChainLog, chainLog, "", "`file` for records of call chains, for trat audit")
}

// Parse reads args and reports every flag that is missing at once.
func (f *Flags) Parse(args []string) error {
	if err := f.set.Parse(args); err != nil {
		return err
	}
	var problems []error
	f.set.VisitAll(func(fl *flag.Flag) {
		if fl.Value.String() == "" && fl.Name != chainLog {
			problems = append(problems, fmt.Errorf("flag -%s is not set", fl.Name))
		}
	})
	if f.set.NArg() > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", f.set.Arg(0)))
	}
	return errors.Join(problems...)
}
