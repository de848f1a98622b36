package interceptors_test

import (
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// authorityOf returns a certificate authority for d's name that is not d's own.
func authorityOf(t *testing.T, d *trattest.Domain) *devauthority.Authority {
	t.Helper()
	authority, err := devauthority.New(d.TrustDomain(), devauthority.WithSVIDLifetime(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := authority.Close(); err != nil {
			t.Error(err)
		}
	})
	return authority
}

// A workload that still has the key of an SVID that has expired, and dates a link back to
// when it was good, is refused; and so is one that signs with a certificate that is not of
// the trust domain's authority, whatever name it has. The connections are good ones.
//
// Covers B-T6, B-T7, KEY-07, ERR-13.
func TestLinksUnderCertificatesThatDoNotCountAreRefused(t *testing.T) {
	d := trattest.New(t, domainName)
	authority, rogue := authorityOf(t, d), authorityOf(t, d)
	gateway, orders := authority.Source(d.ID("gateway")), authority.Source(d.ID("orders"))
	g, err := interceptors.NewServer(interceptors.ServerConfig{Verifier: d.Verifier(), SVIDs: orders, Bundles: orders}, anyScope(),
		interceptors.WithClock(d.Now), interceptors.WithLogger(quiet()))
	if err != nil {
		t.Fatal(err)
	}
	serverCreds, err := spiffecreds.NewServer(orders, orders, d.Members())
	if err != nil {
		t.Fatal(err)
	}
	clientCreds, err := spiffecreds.NewClient(gateway, gateway, d.Members())
	if err != nil {
		t.Fatal(err)
	}
	client := dial(t, serveOn(t, g, serverCreds, &backend{}), clientCreds)
	svid := func(from *devauthority.Authority, flaws ...devauthority.Flaw) *x509svid.SVID {
		svid, err := from.X509SVID(d.ID("gateway"), flaws...)
		if err != nil {
			t.Fatal(err)
		}
		return svid
	}
	now := d.Now()
	for name, tc := range map[string]struct {
		svid *x509svid.SVID
		at   time.Duration // the signer's clock, against everybody else's
		want trat.Reason
	}{
		"its own":              {svid(authority), 0, ""},
		"its own, another one": {svid(authority, devauthority.Valid(now.Add(-time.Hour), now.Add(time.Hour))), 0, ""},
		"expired, dated back":  {svid(authority, devauthority.Valid(now.Add(-time.Hour), now.Add(-10*time.Second))), -20 * time.Second, trat.ReasonChainLinkInvalid},
		"of another authority": {svid(rogue), 0, trat.ReasonChainLinkInvalid},
		"of another workload":  {svid(authority, devauthority.Claiming(d.ID("stocks"))), 0, trat.ReasonChainPeerMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			clock := func() time.Time { return d.Now().Add(tc.at) }
			signer, err := callchain.NewSigner(tc.svid, callchain.WithClock(clock), callchain.WithLifetime(callchain.MaxLifetime))
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range kinds() {
				token := d.Token(trattest.Age(time.Minute), trattest.Lifetime(trat.MaxLifetime))
				signed, err := signer.SignLink(t.Context(), callchain.Draft{Audience: d.ID("orders"), Method: k.method, Token: token})
				if err != nil {
					t.Fatal(err)
				}
				encoded, err := signed.Encode(callchain.ModePath, nil)
				if err != nil {
					t.Fatal(err)
				}
				err = k.call(withChain(callContext(t), token, encoded), client)
				if tc.want != "" {
					wantRefusal(t, err, tc.want)
				} else if err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
		})
	}
}

// Only P-256 keys sign links: a carrier that could not is not made.
//
// Covers KEY-08.
func TestACarrierNeedsAKeyThatSignsLinks(t *testing.T) {
	d := trattest.New(t, domainName)
	svid, err := authorityOf(t, d).X509SVID(d.ID("gateway"), devauthority.RSA())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: svid}); err == nil {
		t.Error("a carrier with an RSA key")
	}
	// One whose links another signer makes does not need it.
	if _, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: svid},
		interceptors.WithLinkSigner(signerOf(t, d, "gateway"))); err != nil {
		t.Error(err)
	}
}

// To find a certificate bad costs a guard as much as a signature, and counts as such.
//
// Covers VER-25.
func TestBadCertificatesAreLimitedPerPeer(t *testing.T) {
	d := trattest.New(t, domainName)
	rogue, err := authorityOf(t, d).X509SVID(d.ID("payments"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := callchain.NewSigner(rogue, callchain.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	g := guardOf(t, d, "stocks", anyScope(), interceptors.WithFailureLimit(0.001, 2))
	client := dial(t, serveAs(t, d, "stocks", g, &backend{}), d.ClientCredentials("payments", d.Members()))
	for _, want := range []trat.Reason{trat.ReasonChainLinkInvalid, trat.ReasonChainLinkInvalid, trat.ReasonRateLimited} {
		token := d.Token(trattest.Requester(d.ID("payments").String()))
		signed, err := signer.SignLink(t.Context(), callchain.Draft{Audience: d.ID("stocks"), Method: unaryMethod, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := signed.Encode(callchain.ModePath, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, callUnary(withChain(callContext(t), token, encoded), client), want)
	}
}
