package chaintest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Root is the only link of a chain, with an identity that its maker chooses, which a
// callchain.Signer draws at random.
type Root struct {
	By     *x509svid.SVID
	To     spiffeid.ID
	Method string
	Token  *trat.Token
	ID     [16]byte
	At     time.Time
}

// Encode returns the chain as it is sent on a connection where By was presented. It is made
// by what docs/call-chain-format.md says, without package callchain.
func (r Root) Encode() (string, error) {
	leaf, token := sha256.Sum256(r.By.Certificates[0].Raw), r.Token.Digest()
	at := binary.BigEndian.AppendUint64(nil, uint64(r.At.UnixMilli()))
	const life = 15
	s := append([]byte("txn-link/1 statement\x00"), 1, 0, 0)
	s = append(append(s, at...), life)
	s = append(append(append(s, r.ID[:]...), token[:]...), leaf[:]...)
	s = str16(str16(str16(s, r.By.ID.String()), r.To.String()), r.Method)
	signature, err := signAlone(r.By, s)
	if err != nil {
		return "", err
	}

	m := []byte{0x12, 0, 0, 0} // path, no certificates, no other links, no flags
	for _, sum := range [...][32]byte{sha256.Sum256([]byte(r.To.String())), sha256.Sum256([]byte(r.Method)), token, sha256.Sum256([]byte(r.By.ID.String()))} {
		m = append(m, sum[:2]...)
	}
	m = append(append(append(m, at[2:]...), life), r.ID[:]...)
	m = append(append(m, 0, 0), signature[:]...) // a path of no levels
	return base64.RawURLEncoding.EncodeToString(m), nil
}

// signAlone signs a statement as the only one of its group.
func signAlone(by *x509svid.SVID, statement []byte) (signature [64]byte, err error) {
	key, ok := by.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return signature, errors.New("chaintest: no ECDSA key")
	}
	leaf, hash := sha256.Sum256(by.Certificates[0].Raw), sha256.Sum256(statement)
	root := sha256.Sum256(append([]byte{0}, hash[:]...))
	input := append([]byte("txn-link/1 root\x00"), 1)
	digest := sha256.Sum256(append(append(input, leaf[:]...), root[:]...))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return signature, err
	}
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature, nil
}

// str16 appends s with its length.
func str16(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) //nolint:gosec // short
}
