package server_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// forgedLink is a link as a workload can sign it that follows no rule but the format.
type forgedLink struct {
	issuer, audience spiffeid.ID
	signer           spiffeid.ID // whose key and certificate it is; default: issuer
	token            [32]byte
	anchor           callchain.Hash
	at               time.Time // default: now
	detached         bool      // the links before it are known by a hash only
}

// forge returns a receipt of the given links, each behind the one before it, written down
// from docs/call-chain-format.md alone.
func (f *fixture) forge(t *testing.T, links ...forgedLink) string {
	t.Helper()
	var certificates [][]byte
	var full []byte
	var parent [sha256.Size]byte
	for depth, l := range links {
		signer := l.signer
		if signer.IsZero() {
			signer = l.issuer
		}
		svid, err := f.Authority.Source(signer).GetX509SVID()
		if err != nil {
			t.Fatal(err)
		}
		leaf := svid.Certificates[0].Raw
		index := slices.IndexFunc(certificates, func(have []byte) bool { return bytes.Equal(have, leaf) })
		if index < 0 {
			index, certificates = len(certificates), append(certificates, leaf)
		}
		if l.at.IsZero() {
			l.at = f.Clock.Now()
		}
		var nonce [16]byte
		_, _ = rand.Read(nonce[:])
		iat := binary.BigEndian.AppendUint64(nil, uint64(l.at.UnixMilli()))
		const lifetime = 15
		var flags, sent byte
		thumbprint := sha256.Sum256(leaf)
		optional, parentSent := []byte(nil), []byte(nil)
		if l.detached {
			const bit5 = 1 << 5
			depth, sent = 3, bit5
			parentSent = append([]byte{byte(depth)}, parent[:]...)
		}
		if depth > 0 {
			flags, optional = flags|1, append(optional, parent[:]...)
		}
		if !l.anchor.IsZero() {
			flags, optional = flags|2, append(optional, l.anchor[:]...)
		}
		statement := slices.Concat([]byte("txn-link/1 statement\x00"), []byte{1, flags, byte(depth)}, iat, []byte{lifetime},
			nonce[:], l.token[:], thumbprint[:], optional, text(l.issuer.String()), text(l.audience.String()), text(servertest.Method))
		parent = sha256.Sum256(statement)
		root := sha256.Sum256(append([]byte{0}, parent[:]...))
		digest := sha256.Sum256(slices.Concat([]byte("txn-link/1 root\x00"), []byte{1}, thumbprint[:], root[:]))
		signature := signP256(t, svid.PrivateKey, digest)
		full = slices.Concat(full, []byte{flags | sent}, iat[2:], []byte{lifetime}, nonce[:], parentSent, text(l.issuer.Path()), text(servertest.Method),
			[]byte{byte(index), 0, 0}, signature)
	}
	receipt := []byte{0x13, byte(len(certificates))}
	for _, der := range certificates {
		receipt = append(receipt, text(string(der))...)
	}
	receipt = append(receipt, byte(len(links)))
	return base64.RawURLEncoding.EncodeToString(append(receipt, full...))
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// signP256 signs as JWS does: r and s, 32 bytes each.
func signP256(t *testing.T, key crypto.Signer, digest [sha256.Size]byte) []byte {
	t.Helper()
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("a key of type %T", key)
	}
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature
}
