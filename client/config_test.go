package client_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func goodConfig(t *testing.T) client.Config {
	t.Helper()
	d := trattest.New(t, "shop.test")
	source := d.Source("gateway")
	return client.Config{
		Target:      "passthrough:///127.0.0.1:1",
		Issuer:      d.Issuer(),
		ServerID:    d.ID("tts"),
		TrustDomain: d.TrustDomain(),
		SVIDs:       source,
		Bundles:     source,
	}
}

// problems are the Reason and Field of each *trat.Error in err's tree.
func problems(err error) []string {
	var found []string
	var walk func(error)
	walk = func(err error) {
		if e, ok := err.(*trat.Error); ok { //nolint:errorlint // the walk itself unwraps
			found = append(found, string(e.Reason)+" "+e.Field)
			return
		}
		switch u := err.(type) { //nolint:errorlint // as above
		case interface{ Unwrap() error }:
			walk(u.Unwrap())
		case interface{ Unwrap() []error }:
			for _, child := range u.Unwrap() {
				walk(child)
			}
		}
	}
	walk(err)
	return found
}

// Covers SEC-02, SEC-04.
func TestNewRefusesConfigWithoutPin(t *testing.T) {
	for name, change := range map[string]struct {
		apply func(*client.Config)
		want  []string
	}{
		"no server ID": {
			func(c *client.Config) { c.ServerID = spiffeid.ID{} },
			[]string{"PARAMETER_MISSING Config.ServerID"},
		},
		"server ID without path": {
			func(c *client.Config) { c.ServerID = c.TrustDomain.ID() },
			[]string{"PARAMETER_INVALID Config.ServerID"},
		},
		"server ID of another trust domain": {
			func(c *client.Config) { c.ServerID = spiffeid.RequireFromString("spiffe://other.test/tts") },
			[]string{"PARAMETER_INVALID Config.ServerID"},
		},
		"server ID of a longer trust domain": {
			func(c *client.Config) {
				c.ServerID = spiffeid.RequireFromString("spiffe://shop.test.attacker.test/tts")
			},
			[]string{"PARAMETER_INVALID Config.ServerID"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig(t)
			change.apply(&cfg)
			c, err := client.New(cfg)
			if c != nil {
				t.Fatal("New returned a Client")
			}
			if diff := cmp.Diff(change.want, problems(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewRefusesIssuerThatIsNoHTTPSURL(t *testing.T) {
	for _, issuer := range []string{
		"http://tts.shop.test", "tts.shop.test", "https://", "https:tts", "https://user@tts.shop.test",
		"https://tts.shop.test?x=1", "https://tts.shop.test?", "https://tts.shop.test#x", "https://tts\x7f",
	} {
		cfg := goodConfig(t)
		cfg.Issuer = issuer
		_, err := client.New(cfg)
		if diff := cmp.Diff([]string{"PARAMETER_INVALID Config.Issuer"}, problems(err)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", issuer, diff)
		}
	}
}

func TestNewRefusesTargetThatIsAWebURL(t *testing.T) {
	for _, target := range []string{"https://tts.shop.test:8443", "http://tts", "HTTPS://tts"} {
		cfg := goodConfig(t)
		cfg.Target = target
		_, err := client.New(cfg)
		if diff := cmp.Diff([]string{"PARAMETER_INVALID Config.Target"}, problems(err)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", target, diff)
		}
	}
}

func TestNewReportsEveryProblemAtOnce(t *testing.T) {
	_, err := client.New(client.Config{},
		nil,
		client.WithClock(nil),
		client.WithLogger(nil),
		client.WithMeterProvider(nil),
		client.WithTracerProvider(nil),
		client.WithDialOptions(nil),
		client.WithVerifierOptions(trat.WithLeeway(time.Hour)),
	)
	want := []string{
		"PARAMETER_INVALID Option",
		"PARAMETER_INVALID WithClock",
		"PARAMETER_INVALID WithLogger",
		"PARAMETER_INVALID WithMeterProvider",
		"PARAMETER_INVALID WithTracerProvider",
		"PARAMETER_INVALID WithDialOptions",
		"PARAMETER_MISSING Config.Target",
		"PARAMETER_MISSING Config.Issuer",
		"PARAMETER_MISSING Config.TrustDomain",
		"PARAMETER_MISSING Config.ServerID",
		"PARAMETER_MISSING Config.SVIDs",
		"PARAMETER_MISSING Config.Bundles",
		"PARAMETER_INVALID WithLeeway",
	}
	if diff := cmp.Diff(want, problems(err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// bundle is a second set of credentials, which gRPC refuses beside the first.
type bundle struct{ credentials.Bundle }

func (bundle) TransportCredentials() credentials.TransportCredentials {
	return insecure.NewCredentials()
}

func TestNewReportsWhatGRPCRefuses(t *testing.T) {
	_, err := client.New(goodConfig(t), client.WithDialOptions(grpc.WithCredentialsBundle(bundle{})))
	if err == nil || !strings.HasPrefix(err.Error(), "client: ") {
		t.Errorf("error = %v", err)
	}
}

func TestNewAcceptsGoodConfig(t *testing.T) {
	c, err := client.New(goodConfig(t), client.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}
