package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

func TestOptionsSayWhichAuthoritiesAreNotTheDemosOwn(t *testing.T) {
	const ours, theirs = "unix:///run/shop/agent.sock", "unix:///run/rival/agent.sock"
	for _, tt := range []struct {
		name string
		args []string
		want map[spiffeid.TrustDomain]string
	}{
		{"none", nil, map[spiffeid.TrustDomain]string{}},
		{"one", []string{"-workload-api", ours}, map[spiffeid.TrustDomain]string{trustDomain: ours}},
		{"both", []string{"-workload-api", ours, "-rival-workload-api", theirs}, map[spiffeid.TrustDomain]string{
			trustDomain: ours, rivalDomain: theirs,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parseOptions(tt.args)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, o.workloadAPIs()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"now"},
		{"-workload-api", "run/agent.sock"},
		{"-rival-workload-api", "https://rival.test"},
		{"-outlive-svids", (-time.Second).String()},
		{"-report", ""},
	} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
