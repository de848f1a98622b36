package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// options are where the demo's surroundings are not of its own making.
type options struct {
	programs    string
	workloadAPI string
	rivalAPI    string
	outlive     time.Duration
	report      string
	records     string
	spansTo     string
}

// parseOptions reads the command line. Without any option everything is the demo's own.
func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.StringVar(&o.programs, "programs", "", "`directory` of the programs, when they are not to be built anew")
	f.StringVar(&o.workloadAPI, "workload-api", "",
		"`address` of a Workload API that serves every workload of "+trustDomain.Name()+", and this program as gateway, orders, scheduler and mallory")
	f.StringVar(&o.rivalAPI, "rival-workload-api", "",
		"`address` of a Workload API that serves this program as shipping of "+rivalDomain.Name())
	f.DurationVar(&o.outlive, "outlive-svids", 0,
		"order once more when every service's first X.509-SVID has expired, if that takes no longer than `this`")
	f.StringVar(&o.report, "report", filepath.Join(os.TempDir(), fmt.Sprintf("grpc-trat-demo-%d.html", os.Getuid())),
		"`file` for the page of the audit, which stays there")
	f.StringVar(&o.records, "records", "", "`directory` for what the audit reads, which then stays there")
	f.StringVar(&o.spansTo, "spans-to", "", "`address` of a collector that gets all spans too, OTLP over gRPC in plain text")
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	var problems []error
	if f.NArg() > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	for _, address := range o.workloadAPIs() {
		if err := workloadapi.ValidateAddress(address); err != nil {
			problems = append(problems, fmt.Errorf("address %q: %w", address, err))
		}
	}
	if o.report == "" {
		problems = append(problems, errors.New("-report: no file"))
	}
	if o.outlive < 0 {
		problems = append(problems, errors.New("-outlive-svids: less than nothing"))
	}
	return o, errors.Join(problems...)
}

// workloadAPIs are the Workload APIs that are there already.
func (o options) workloadAPIs() map[spiffeid.TrustDomain]string {
	external := make(map[spiffeid.TrustDomain]string)
	if o.workloadAPI != "" {
		external[trustDomain] = o.workloadAPI
	}
	if o.rivalAPI != "" {
		external[rivalDomain] = o.rivalAPI
	}
	return external
}
