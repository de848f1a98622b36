package callchain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

const worldMethod = "/shop.v1.Orders/Place"

// worldNow is the time of every test that does not say otherwise.
var worldNow = time.Date(2026, time.July, 6, 12, 0, 0, 0, time.UTC)

// world is a trust domain with a certificate authority, a token service and a clock.
type world struct {
	tb        testing.TB
	domain    spiffeid.TrustDomain
	now       time.Time
	authority *issuer
	bundle    *x509bundle.Bundle
	tokens    *trat.Signer
	verifier  *Verifier
	workloads map[string]*workload
	// random fills ids, and the nodes of others in a group.
	random func([]byte)
}

// issuer is a CA certificate with its key.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// workload is an X.509-SVID.
type workload struct {
	id            spiffeid.ID
	leaf          *x509.Certificate
	key           crypto.Signer
	intermediates []*x509.Certificate
}

func newWorld(tb testing.TB, opts ...VerifierOption) *world {
	tb.Helper()
	w := &world{
		tb: tb, domain: spiffeid.RequireTrustDomainFromString("prod.example.org"),
		now: worldNow, workloads: map[string]*workload{}, random: func(b []byte) { _, _ = rand.Read(b) },
	}
	w.authority = newIssuer(tb, w.domain, nil)
	w.bundle = x509bundle.FromX509Authorities(w.domain, []*x509.Certificate{w.authority.cert})
	var err error
	if w.tokens, err = trat.NewSigner(newKey(tb), trat.ES256); err != nil {
		tb.Fatal(err)
	}
	w.verifier = w.newVerifier(opts...)
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) newVerifier(opts ...VerifierOption) *Verifier {
	w.tb.Helper()
	v, err := NewVerifier(w.bundle, append([]VerifierOption{WithClock(w.clock)}, opts...)...)
	if err != nil {
		w.tb.Fatal(err)
	}
	return v
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newIssuer(tb testing.TB, domain spiffeid.TrustDomain, parent *issuer) *issuer {
	tb.Helper()
	return namedIssuer(tb, domain, parent, rand.Text(), newKey(tb))
}

func namedIssuer(tb testing.TB, domain spiffeid.TrustDomain, parent *issuer, name string, key crypto.Signer) *issuer {
	tb.Helper()
	i := &issuer{key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{domain.ID().URL()},
		SubjectKeyId: []byte(name),
		NotBefore:    worldNow.Add(-24 * time.Hour), NotAfter: worldNow.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	if parent == nil {
		parent = &issuer{cert: template, key: i.key}
	}
	i.cert = parent.sign(tb, template, i.key.Public())
	return i
}

func (i *issuer) sign(tb testing.TB, template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, public, i.key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// svid returns a new X.509-SVID, from the template as edit leaves it.
func (i *issuer) svid(tb testing.TB, id spiffeid.ID, key crypto.Signer, edit func(*x509.Certificate)) *workload {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{Organization: []string{"SPIRE"}, Country: []string{"US"}},
		URIs: []*url.URL{id.URL()}, NotBefore: worldNow.Add(-time.Minute), NotAfter: worldNow.Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if edit != nil {
		edit(template)
	}
	return &workload{id: id, leaf: i.sign(tb, template, key.Public()), key: key}
}

func (w *world) id(path string) spiffeid.ID {
	return spiffeid.RequireFromPath(w.domain, "/"+path)
}

// workload returns the workload of that path, always the same.
func (w *world) workload(path string) *workload {
	w.tb.Helper()
	if w.workloads[path] == nil {
		w.workloads[path] = w.authority.svid(w.tb, w.id(path), newKey(w.tb), nil)
	}
	return w.workloads[path]
}

// token returns a verified TraT that the workload with the given path has requested, the
// replacement of one that came with chn if that is not zero.
func (w *world) token(requester string, chn Hash) *trat.Token {
	w.tb.Helper()
	return w.fixedToken(requester, chn, rand.Text())
}

func (w *world) fixedToken(requester string, chn Hash, txn string) *trat.Token {
	w.tb.Helper()
	claims := trat.Claims{
		Issuer: "https://tts.prod.example.org", Subject: "alice", Audience: w.domain.Name(), TransactionID: txn,
		RequestingWorkload: w.id(requester).String(), IssuedAt: w.now, Expiry: w.now.Add(time.Minute),
	}
	var err error
	if claims.Scope, err = trat.ParseScope("orders.place"); err != nil {
		w.tb.Fatal(err)
	}
	if !chn.IsZero() {
		claims.RequestingWorkloadChain, err = trat.NewWorkloadChain(w.id("first").String(), claims.RequestingWorkload)
		if err != nil {
			w.tb.Fatal(err)
		}
		claims.ReplacementCount, claims.TransactionStart, claims.CallChainHash = 1, w.now, chn
	}
	unsigned, err := trat.Prepare(claims)
	if err != nil {
		w.tb.Fatal(err)
	}
	raw, err := w.tokens.Sign(unsigned)
	if err != nil {
		w.tb.Fatal(err)
	}
	keys, err := trat.NewStaticKeySet(w.tokens.Key())
	if err != nil {
		w.tb.Fatal(err)
	}
	verifier, err := trat.NewVerifier(w.domain.Name(), claims.Issuer, keys, trat.WithClock(w.clock))
	if err != nil {
		w.tb.Fatal(err)
	}
	token, err := verifier.Verify(raw)
	if err != nil {
		w.tb.Fatal(err)
	}
	return token
}

// call is a call that one workload makes, and all that can be wrong with it.
type call struct {
	from   *workload
	to     spiffeid.ID
	token  *trat.Token
	parent *Chain
	mode   Mode
	edit   func(*link) // before it is signed
	group  int         // links that are signed together; 0 is 1
	trace  Trace
	// presented is the leaf of the connection, from's unless given.
	presented *workload
}

// link returns the signed link of the call.
func (w *world) link(c *call) signedLink {
	w.tb.Helper()
	l := &link{
		issuer: c.from.id, audience: c.to, method: worldMethod, issuedAt: w.now, lifetime: DefaultLifetime,
		tokenHash: c.token.Digest(), leafHash: sha256.Sum256(c.from.leaf.Raw), trace: c.trace, leaf: c.from.leaf,
	}
	w.random(l.id[:])
	if c.parent == nil {
		l.anchor = c.token.CallChainHash()
	} else {
		l.parent, l.depth = c.parent.Last().Hash(), c.parent.Last().Depth()+1
	}
	if c.edit != nil {
		c.edit(l)
	}
	l.seal()
	return w.sign(c.from, l, max(1, c.group))
}

// sign signs l in a group of the given size.
func (w *world) sign(by *workload, l *link, group int) signedLink {
	w.tb.Helper()
	nodes := make([][32]byte, group)
	for i := range nodes {
		w.random(nodes[i][:])
	}
	index := group / 2
	nodes[index] = leafNode(l.hash)
	t := newTree(nodes)
	digest := sha256.Sum256(rootStatement(l.leafHash, t.root))
	der, err := by.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		w.tb.Fatal(err)
	}
	s := signedLink{link: l, leaf: by.leaf.Raw, path: t.path(index)}
	if key, ok := by.key.Public().(*ecdsa.PublicKey); ok && key.Curve == elliptic.P256() { // all others are refused before
		if s.signature, err = trat.SignatureFromDER(der); err != nil {
			w.tb.Fatal(err)
		}
	}
	return s
}

// encode returns what travels.
func (w *world) encode(c *call) string {
	w.tb.Helper()
	encoded, err := encodeCall(c.sendMode(), c.parent, w.link(c), rawAll(c.from.intermediates), c.connection().leaf)
	if err != nil {
		w.tb.Fatal(err)
	}
	return encoded
}

func (c *call) sendMode() Mode {
	if c.mode == 0 {
		return ModePath
	}
	return c.mode
}

func (c *call) connection() *workload {
	if c.presented != nil {
		return c.presented
	}
	return c.from
}

func rawAll(certs []*x509.Certificate) [][]byte {
	var ders [][]byte
	for _, c := range certs {
		ders = append(ders, c.Raw)
	}
	return ders
}

// received is what the callee knows of the call.
func (w *world) received(c *call) Received {
	w.tb.Helper()
	from := c.connection()
	return Received{
		Encoded: w.encode(c), Audience: c.to, Method: worldMethod, Token: c.token, Mode: c.sendMode(),
		Peer: Peer{ID: from.id, Leaf: from.leaf, Intermediates: from.intermediates},
	}
}

// verify verifies the call as its callee.
func (w *world) verify(c *call) (*Chain, error) {
	w.tb.Helper()
	return w.verifier.Verify(w.received(c))
}

// chain returns the chain that the last of the workloads has verified after each has called
// the next one.
func (w *world) chain(token *trat.Token, paths ...string) *Chain {
	w.tb.Helper()
	var parent *Chain
	for i := range paths[1:] {
		var err error
		parent, err = w.verify(&call{from: w.workload(paths[i]), to: w.id(paths[i+1]), token: token, parent: parent})
		if err != nil {
			w.tb.Fatalf("call %d: %v", i, err)
		}
	}
	return parent
}
