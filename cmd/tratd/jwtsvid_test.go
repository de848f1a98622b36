package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// jwtWorkloadAPI is the part of a Workload API that the embedded authority does not have.
type jwtWorkloadAPI struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	bundle []byte
}

func (a jwtWorkloadAPI) FetchJWTBundles(_ *workload.JWTBundlesRequest, stream workload.SpiffeWorkloadAPI_FetchJWTBundlesServer) error {
	err := stream.Send(&workload.JWTBundlesResponse{Bundles: map[string][]byte{trustDomain.IDString(): a.bundle}})
	if err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// serveJWTs runs a Workload API with the JWT authority key.
func serveJWTs(t *testing.T, key *ecdsa.PrivateKey) {
	t.Helper()
	bundle := jwtbundle.New(trustDomain)
	if err := bundle.AddJWTAuthority("1", key.Public()); err != nil {
		t.Fatal(err)
	}
	text, err := bundle.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "w.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(g, jwtWorkloadAPI{bundle: text})
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(listener) })
	t.Cleanup(func() { g.Stop(); wg.Wait() })
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", "unix://"+path)
}

// gatewaySVID is an X.509-SVID of the gateway.
func gatewaySVID(t *testing.T) *x509svid.SVID {
	t.Helper()
	authority, err := devauthority.New(trustDomain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = authority.Close() })
	svid, err := authority.Source(gateway).GetX509SVID()
	if err != nil {
		t.Fatal(err)
	}
	return svid
}

func TestJWTSVIDsAreVerifiedWithTheBundlesOfTheWorkloadAPI(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cfg, err := config.Load(writeFiles(t, withoutSubjectTokens()+"subject_tokens: {self_signed: {replay_store: memory, jwt_svid: once}}\n", noRules))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serveJWTs(t, key)
	bundles, done, err := jwtBundles(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	}()
	none, err := trat.NewStaticKeySet()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSubjects(cfg, bundles, none, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Subject: gateway.String(), Audience: jwt.Audience{cfg.Issuer}, Expiry: jwt.NewNumericDate(now.Add(time.Minute)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Verify(ctx, subject.Input{
		Token: token, Type: trat.TokenTypeSelfSigned, Requester: gateway, RequesterLeaf: gatewaySVID(t).Certificates[0], Now: now,
	})
	if err != nil || p.Subject != "self:shop.test/gateway" {
		t.Errorf("principal %v, %v", p, err)
	}
}

func TestJWTSVIDsAreNotTakenWithoutBundles(t *testing.T) {
	cfg, err := config.Load(writeFiles(t, withoutSubjectTokens()+"subject_tokens: {self_signed: {replay_store: memory, jwt_svid: once}}\n", noRules))
	if err != nil {
		t.Fatal(err)
	}
	newAuthority(t, tts) // which has no JWT bundles
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := jwtBundles(ctx, cfg); err == nil || !strings.Contains(err.Error(), "jwt_svid") {
		t.Errorf("got %v", err)
	}
}
