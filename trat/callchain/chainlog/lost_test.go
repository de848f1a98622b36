package chainlog_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// certificate returns a certificate and its key; without a parent it is an authority.
func certificate(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, signer = template, key
	}
	template.SerialNumber = big.NewInt(int64(len(template.Subject.CommonName)))
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// oversize returns the record of a call whose chain verifies by an intermediate certificate,
// known from the connection, that is too long for any receipt.
func oversize(t *testing.T, w *chaintest.World) (callchain.Record, *x509bundle.Bundle) {
	t.Helper()
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, NotBefore: w.Now().Add(-time.Hour), NotAfter: w.Now().Add(time.Hour),
			IsCA: true, KeyUsage: x509.KeyUsageCertSign,
			URIs: []*url.URL{{Scheme: "spiffe", Host: w.ID("gateway").TrustDomain().Name()}},
		}
	}
	root, rootKey := certificate(t, template("root"), nil, nil)
	long := template("intermediate")
	long.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: bytes.Repeat([]byte{5}, 30_000)}}
	intermediate, intermediateKey := certificate(t, long, root, rootKey)
	leaf := template("the leaf of it")
	leaf.IsCA, leaf.KeyUsage, leaf.URIs = false, x509.KeyUsageDigitalSignature, []*url.URL{w.ID("gateway").URL()}
	leaf, key := certificate(t, leaf, intermediate, intermediateKey)

	place := w.Begin("gateway")
	svid := &x509svid.SVID{ID: w.ID("gateway"), Certificates: []*x509.Certificate{leaf, intermediate}, PrivateKey: key}
	signer, err := callchain.NewSigner(svid, callchain.WithClock(w.Now))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.SignLink(t.Context(), callchain.Draft{Audience: w.ID("orders"), Method: create, Token: place.Token})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := signed.Encode(callchain.ModePath, leaf)
	if err != nil {
		t.Fatal(err)
	}
	bundle := x509bundle.FromX509Authorities(w.ID("gateway").TrustDomain(), []*x509.Certificate{root})
	verifier, err := callchain.NewVerifier(bundle, callchain.WithClock(w.Now))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := verifier.Verify(callchain.Received{
		Encoded: encoded, Audience: w.ID("orders"), Method: create, Token: place.Token, Mode: callchain.ModePath,
		Peer: callchain.Peer{ID: w.ID("gateway"), Leaf: leaf, Intermediates: []*x509.Certificate{intermediate}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return callchain.Record{
		Time: w.Now(), Server: w.ID("orders"), Peer: w.ID("gateway"), Method: create, Mode: callchain.ModePath,
		Token: place.Token, Chain: chain, Result: "ok",
	}, bundle
}

// A call that was accepted with a chain is not recorded as one without: the record is lost,
// and the log says so.
//
// Covers AUD-03.
func TestRecordWhoseReceiptDoesNotFitIsLost(t *testing.T) {
	w := chaintest.New(t, nil)
	record, bundle := oversize(t, w)
	path := filepath.Join(t.TempDir(), "chain.jsonl")
	var operations strings.Builder
	log, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: path, Server: w.ID("orders"), Bundles: bundle, Logger: slog.New(slog.NewTextHandler(&operations, nil)), Clock: w.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Record(t.Context(), record)
	record.Chain, record.Result, record.Reason = nil, "missing", "CHAIN_MISSING"
	log.Record(t.Context(), record)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, sum := read(t, path)
	if log.Lost() != 1 || sum.Lost != 1 || sum.Calls != 1 || len(sum.Damage) > 0 {
		t.Errorf("%d lost, summary %+v", log.Lost(), sum)
	}
	if !strings.Contains(operations.String(), "chain log loses records") || !strings.Contains(operations.String(), "longer than") {
		t.Errorf("said:\n%s", &operations)
	}
}
