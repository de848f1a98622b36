package interceptors_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// tokenService issues what trattest has no options for, with a key of its own.
type tokenService struct {
	*trattest.Domain
	signer   *trat.Signer
	verifier *trat.Verifier
}

func newTokenService(t *testing.T, d *trattest.Domain) *tokenService {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &tokenService{Domain: d}
	if s.signer, err = trat.NewSigner(key, trat.ES256); err != nil {
		t.Fatal(err)
	}
	keys, err := trat.NewStaticKeySet(s.signer.Key())
	if err != nil {
		t.Fatal(err)
	}
	if s.verifier, err = trat.NewVerifier(domainName, d.Issuer(), keys, trat.WithClock(d.Now)); err != nil {
		t.Fatal(err)
	}
	return s
}

// replace returns the token that the workload with the given path gets for old, which came to
// it with a chain whose last link has the hash chn.
func (s *tokenService) replace(t *testing.T, old *trat.Token, path string, chn [32]byte) *trat.Token {
	t.Helper()
	claims := old.Claims()
	var err error
	if claims.RequestingWorkloadChain, err = claims.Requesters().With(s.ID(path).String()); err != nil {
		t.Fatal(err)
	}
	claims.TransactionStart, claims.RequestingWorkload = claims.FirstIssuedAt(), s.ID(path).String()
	claims.ReplacementCount++
	claims.CallChainHash = chn
	unsigned, err := trat.Prepare(claims)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.signer.Sign(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.verifier.Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Behind a replacement the chain begins anew, and a workload that the rule excludes can stand
// in the part before it. Such a token is refused, unless no chain was before it.
//
// Covers VER-24, ERR-13.
func TestAReplacementHidesNobodyFromNotThrough(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newTokenService(t, d)
	is := func(path string) spiffeid.Matcher { return spiffeid.MatchID(d.ID(path)) }
	before := d.Chain(d.Token(), []string{"gateway", "mallory"}, "orders", unaryMethod).Last().Hash()
	for name, tc := range map[string]struct {
		rule interceptors.Rule
		chn  [32]byte
		want trat.Reason
	}{
		"in the middle":            {interceptors.Require().NotThrough(is("mallory")), before, trat.ReasonPolicyDenied},
		"at the beginning":         {interceptors.Require().NotThrough(is("mallory")), [32]byte{}, ""},
		"nobody excluded":          {interceptors.Require(), before, ""},
		"somebody before it":       {interceptors.Require().Through(is("gateway")), before, trat.ReasonPolicyDenied},
		"links since then counted": {interceptors.Require().MaxLinks(1), before, ""},
	} {
		t.Run(name, func(t *testing.T) {
			source, svc := d.Source("payments"), &backend{}
			g, err := interceptors.NewServer(interceptors.ServerConfig{Verifier: s.verifier, SVIDs: source, Bundles: source},
				interceptors.Rules{wholeService: tc.rule}, interceptors.WithClock(d.Now), interceptors.WithLogger(quiet()))
			if err != nil {
				t.Fatal(err)
			}
			client := dialCarrierAs(t, d, "orders", serveAs(t, d, "payments", g, svc), carrierOf(t, d, "orders"))
			for _, k := range kinds() {
				err := k.call(trat.NewContext(callContext(t), s.replace(t, d.Token(), "orders", tc.chn)), client)
				if tc.want != "" {
					wantRefusal(t, err, tc.want)
				} else if err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
			if ran := svc.ran.Load(); (ran != 0) != (tc.want == "") {
				t.Errorf("%d handlers ran", ran)
			}
		})
	}
}
