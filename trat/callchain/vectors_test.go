package callchain

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

// vectors is the file from which other implementations are tested. docs/call-chain-format.md
// describes it.
type vectors struct {
	Description string            `json:"description"`
	Bundle      [][]byte          `json:"bundle"`
	Issuer      string            `json:"token_issuer"`
	TokenKeys   json.RawMessage   `json:"token_keys"`
	Signers     []vectorSigner    `json:"signers"`
	Statements  []vectorStatement `json:"statements"`
	Trees       []vectorTree      `json:"trees"`
	Chains      []vectorChain     `json:"chains"`
	Receipts    []vectorReceipt   `json:"receipts"`
}

// hexBytes are bytes in hexadecimal.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

type vectorSigner struct {
	Name       string   `json:"name"`
	PrivateKey hexBytes `json:"private_key"`
	Leaf       []byte   `json:"leaf"`
	LeafHash   hexBytes `json:"leaf_sha256"`
}

// vectorStatement is a statement with all that it is made of, and its signature if it is
// signed alone.
type vectorStatement struct {
	Name      string   `json:"name"`
	Issuer    string   `json:"iss"`
	Audience  string   `json:"aud"`
	Method    string   `json:"rpc"`
	IssuedAt  int64    `json:"iat_ms"`
	Lifetime  int      `json:"life_s"`
	ID        hexBytes `json:"jti"`
	TokenHash hexBytes `json:"tth"`
	LeafHash  hexBytes `json:"x5t"`
	Depth     int      `json:"n"`
	Parent    hexBytes `json:"prh,omitempty"`
	Anchor    hexBytes `json:"ckp,omitempty"`
	TraceID   hexBytes `json:"tid,omitempty"`
	SpanID    hexBytes `json:"sid,omitempty"`
	Statement hexBytes `json:"statement"`
	Hash      hexBytes `json:"hash"`
	LeafNode  hexBytes `json:"leaf_node"`
	Signed    hexBytes `json:"signed"` // what the signature is of, in a group of one
	Signature hexBytes `json:"signature"`
}

type vectorTree struct {
	Links []hexBytes   `json:"link_hashes"`
	Root  hexBytes     `json:"root"`
	Paths []vectorPath `json:"paths"`
}

type vectorPath struct {
	Shape hexBytes `json:"shape"`
	Nodes hexBytes `json:"nodes"`
}

// vectorOutcome is what comes of a verification: hashes of the verified links, or an error.
type vectorOutcome struct {
	Links    []string `json:"links,omitempty"`
	Complete bool     `json:"complete,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Field    string   `json:"field,omitempty"`
}

type vectorChain struct {
	Name              string        `json:"name"`
	Encoded           string        `json:"encoded"`
	Audience          string        `json:"audience"`
	Method            string        `json:"method"`
	Token             string        `json:"token"`
	Peer              string        `json:"peer"`
	PeerLeaf          []byte        `json:"peer_leaf"`
	PeerIntermediates [][]byte      `json:"peer_intermediates,omitempty"`
	Mode              string        `json:"mode"`
	Now               int64         `json:"now_ms"`
	Want              vectorOutcome `json:"want"`
}

type vectorReceipt struct {
	Name      string        `json:"name"`
	Encoded   string        `json:"encoded"`
	Audience  string        `json:"audience"`
	TokenHash hexBytes      `json:"token_sha256"`
	Root      string        `json:"req_wl"`
	Anchor    hexBytes      `json:"chn"`
	IssuedAt  int64         `json:"token_iat_ms"`
	At        int64         `json:"at_ms"`
	Want      vectorOutcome `json:"want"`
}

// fixedKey is a private key that is made of its name, and signs without chance (RFC 6979).
type fixedKey struct{ *ecdsa.PrivateKey }

func (k fixedKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, opts)
}

func newFixedKey(tb testing.TB, name string) fixedKey {
	tb.Helper()
	d := sha256.Sum256([]byte("txn-link/1 test key " + name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		tb.Fatal(err)
	}
	return fixedKey{key}
}

// newFixedWorld returns a world in which nothing is left to chance.
func newFixedWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{
		tb: tb, domain: spiffeid.RequireTrustDomainFromString("prod.example.org"), now: worldNow,
		workloads: map[string]*workload{},
	}
	var counter uint64
	w.random = func(b []byte) {
		counter++
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("txn-link/1 test bytes "), counter))
		copy(b, sum[:])
	}
	w.authority = namedIssuer(tb, w.domain, nil, "root", newFixedKey(tb, "root"))
	w.bundle = x509bundle.FromX509Authorities(w.domain, []*x509.Certificate{w.authority.cert})
	for _, name := range []string{"gateway", "orders", "stock", "payments", "audit"} {
		w.workloads[name] = w.authority.svid(tb, w.id(name), newFixedKey(tb, name), nil)
	}
	under := namedIssuer(tb, w.domain, w.authority, "intermediate", newFixedKey(tb, "intermediate"))
	w.workloads["rotated"] = under.svid(tb, w.id("stock"), newFixedKey(tb, "rotated"), nil)
	w.workloads["rotated"].intermediates = []*x509.Certificate{under.cert}
	var err error
	if w.tokens, err = trat.NewSigner(newFixedKey(tb, "token service"), trat.ES256); err != nil {
		tb.Fatal(err)
	}
	w.verifier = w.newVerifier()
	return w
}

// Every number of the file comes out of the code again, byte for byte.
func TestVectorsAreWhatWeMake(t *testing.T) {
	got, err := json.MarshalIndent(makeVectors(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(vectorsFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("differs from " + vectorsFile + "; go test -run Vectors -update writes it anew")
	}
}

// What other implementations are given is decided here as it says.
func TestVectorsAreDecidedAsTheySay(t *testing.T) {
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var f vectors
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	domain := spiffeid.RequireTrustDomainFromString("prod.example.org")
	bundle := x509bundle.New(domain)
	for _, der := range f.Bundle {
		bundle.AddX509Authority(parse(t, der))
	}
	keys, err := trat.ParseJWKS(f.TokenKeys)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Chains {
		t.Run(c.Name, func(t *testing.T) {
			clock := func() time.Time { return time.UnixMilli(c.Now) }
			v, err := NewVerifier(bundle, WithClock(clock))
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := trat.NewVerifier(domain.Name(), f.Issuer, keys, trat.WithClock(clock))
			if err != nil {
				t.Fatal(err)
			}
			token, err := tokens.Verify(c.Token)
			if err != nil {
				t.Fatal(err)
			}
			r := Received{
				Encoded: c.Encoded, Audience: spiffeid.RequireFromString(c.Audience), Method: c.Method, Token: token,
				Peer: Peer{ID: spiffeid.RequireFromString(c.Peer), Leaf: parse(t, c.PeerLeaf)}, Mode: ModePath,
			}
			if c.Mode == "head" {
				r.Mode = ModeHead
			}
			for _, der := range c.PeerIntermediates {
				r.Peer.Intermediates = append(r.Peer.Intermediates, parse(t, der))
			}
			chain, err := v.Verify(r)
			checkOutcome(t, c.Want, chain, err)
		})
	}
	for _, c := range f.Receipts {
		t.Run(c.Name, func(t *testing.T) {
			v, err := NewVerifier(bundle, WithClock(func() time.Time { return worldNow }))
			if err != nil {
				t.Fatal(err)
			}
			chain, err := v.VerifyEvidence(Evidence{
				Encoded: c.Encoded, Audience: spiffeid.RequireFromString(c.Audience), TokenHash: [32]byte(c.TokenHash),
				Root: c.Root, Anchor: Hash(c.Anchor), IssuedAt: time.UnixMilli(c.IssuedAt), At: time.UnixMilli(c.At),
			})
			checkOutcome(t, c.Want, chain, err)
		})
	}
}

func checkOutcome(t *testing.T, want vectorOutcome, chain *Chain, err error) {
	t.Helper()
	if got := outcome(chain, err); !equalJSON(t, got, want) {
		t.Errorf("outcome %+v (%v), want %+v", got, err, want)
	}
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return bytes.Equal(x, y)
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// decodeLoosely is the way of a reader who does not mind unused bits.
func decodeLoosely(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
