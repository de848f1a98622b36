package callchain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/svidleaf"
	"github.com/grpc-trat/grpc-trat/trat"
)

var (
	errNoSVID      = errors.New("no X.509-SVID")
	errKeyMismatch = errors.New("the private key is not that of the X.509-SVID's leaf")
)

// ownLeaf is a leaf certificate that was found fit to sign links.
type ownLeaf struct {
	cert *x509.Certificate
	key  *ecdsa.PublicKey
	hash [32]byte
}

// newOwnLeaf judges the leaf of svid.
func newOwnLeaf(svid *x509svid.SVID) (*ownLeaf, error) {
	cert := svid.Certificates[0]
	id, check, cause := svidleaf.Check(cert)
	if check != nil {
		return nil, errors.Join(check, cause)
	}
	if id != svid.ID {
		return nil, fmt.Errorf("the leaf of X.509-SVID %s is that of %s", svid.ID, id)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("X.509-SVID %s has a key of type %s; links are signed with ECDSA P-256", id, keyType(cert))
	}
	return &ownLeaf{cert: cert, key: key, hash: sha256.Sum256(cert.Raw)}, nil
}

// keyType names a key as an operator does.
func keyType(cert *x509.Certificate) string {
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); ok {
		return "ECDSA " + key.Curve.Params().Name
	}
	return cert.PublicKeyAlgorithm.String()
}

// credential is a key with the certificates that go with it, from one answer of a source.
type credential struct {
	*ownLeaf
	svid *x509svid.SVID
}

// newCredential judges svid, unless known is the judgement of its leaf.
func newCredential(svid *x509svid.SVID, known *ownLeaf) (credential, error) {
	if svid == nil || len(svid.Certificates) == 0 || svid.PrivateKey == nil {
		return credential{}, errNoSVID
	}
	if known == nil || known.cert != svid.Certificates[0] {
		var err error
		if known, err = newOwnLeaf(svid); err != nil {
			return credential{}, err
		}
	}
	if key, ok := svid.PrivateKey.Public().(*ecdsa.PublicKey); !ok || !key.Equal(known.key) {
		return credential{}, errKeyMismatch
	}
	return credential{ownLeaf: known, svid: svid}, nil
}

// intermediates returns what leads from the leaf to the bundle, in DER.
func (c credential) intermediates() [][]byte {
	var ders [][]byte
	for _, cert := range c.svid.Certificates[1:] {
		ders = append(ders, cert.Raw)
	}
	return ders
}

// sign signs the root of a group.
func (c credential) sign(root [32]byte) ([signatureSize]byte, error) {
	digest := sha256.Sum256(rootStatement(c.hash, root))
	der, err := c.svid.PrivateKey.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return [signatureSize]byte{}, err
	}
	return trat.SignatureFromDER(der)
}
