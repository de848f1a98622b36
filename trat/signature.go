package trat

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
)

// ecdsaSize is the length of a P-256 signature in a JWS: r and s, each of 32 bytes
// (RFC 7518 section 3.4).
const ecdsaSize = 64

var pssOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

var (
	errSignature    = &Error{Reason: ReasonTxnTokenInvalid, Field: "signature"}
	errNotSignature = errors.New("no P-256 signature in ASN.1")
)

// fits reports whether sig has a length that signatures of a can have.
func (a Algorithm) fits(sig []byte) bool {
	switch a {
	case ES256:
		return len(sig) == ecdsaSize
	case EdDSA:
		return len(sig) == ed25519.SignatureSize
	case PS256, RS256:
		return len(sig) >= minRSABits/8 && len(sig) <= maxRSABits/8
	}
	return false
}

// verify reports whether sig is k's signature of input.
func (k *Key) verify(input string, sig []byte) bool {
	return k.alg.fits(sig) && VerifySignature(k.alg, k.public, input, sig)
}

// VerifySignature reports whether sig is the JWS signature (RFC 7518 section 3, RFC 8037
// section 3.1) of input, which is a JWS's first two segments with the dot between them, by
// the holder of public. It is for tokens of others: a TraT is verified by a Verifier.
//
// A key of another type than alg's verifies nothing. Whether the key is strong enough, and
// whether alg is the one that it is for, is the caller's to settle before.
func VerifySignature(alg Algorithm, public crypto.PublicKey, input string, sig []byte) bool {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if alg != ES256 || public.Curve != elliptic.P256() || len(sig) != ecdsaSize {
			return false
		}
		digest := sum256(input)
		var der [maxDERSize]byte
		return ecdsa.VerifyASN1(public, digest[:], appendDER(der[:0], sig))
	case ed25519.PublicKey:
		return alg == EdDSA && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, []byte(input), sig)
	case *rsa.PublicKey:
		digest := sum256(input)
		if alg == PS256 {
			return rsa.VerifyPSS(public, crypto.SHA256, digest[:], sig, pssOptions) == nil
		}
		return alg == RS256 && rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig) == nil
	}
	return false
}

// maxDERSize is the length of a P-256 signature in DER whose integers both need a
// leading zero byte.
const maxDERSize = 2 + 2*(2+1+ecdsaSize/2)

// appendDER appends r||s as the ASN.1 SEQUENCE that crypto/ecdsa reads. Going
// through math/big would double the allocations of a verification.
func appendDER(dst, sig []byte) []byte {
	dst = append(dst, 0x30, 0)
	dst = appendDERInteger(dst, sig[:ecdsaSize/2])
	dst = appendDERInteger(dst, sig[ecdsaSize/2:])
	dst[1] = byte(len(dst) - 2) //nolint:gosec // at most 70
	return dst
}

func appendDERInteger(dst, n []byte) []byte {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	pad := n[0] >> 7                          // an integer with its highest bit set would be negative
	dst = append(dst, 0x02, byte(len(n))+pad) //nolint:gosec // at most 33
	if pad == 1 {
		dst = append(dst, 0)
	}
	return append(dst, n...)
}

// sum256 is the SHA-256 of text. The usual token is hashed on the stack: converting
// it to a slice would copy it to the heap.
func sum256(text string) [digestSize]byte {
	var usual [1024]byte
	if len(text) <= len(usual) {
		return sha256.Sum256(usual[:copy(usual[:], text)])
	}
	return sha256.Sum256([]byte(text))
}

// sign returns the JWS signature of input by key, whose public half is bound to
// alg.
func sign(key crypto.Signer, alg Algorithm, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch alg {
	case EdDSA: // hashes for itself
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	case ES256:
		der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		sig, err := SignatureFromDER(der)
		return sig[:], err
	case PS256:
		return key.Sign(rand.Reader, digest[:], pssOptions)
	case RS256:
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	return nil, errNotAllowed
}

// SignatureFromDER returns the JWS form of a P-256 signature, r and s of 32 bytes each (RFC
// 7518 section 3.4), from the ASN.1 SEQUENCE of two integers that a crypto.Signer returns.
// It fails for what is no such signature.
func SignatureFromDER(der []byte) (sig [ecdsaSize]byte, err error) {
	const sequence, integer = 0x30, 0x02
	if len(der) < 2 || der[0] != sequence || int(der[1]) != len(der)-2 {
		return sig, errNotSignature
	}
	rest := der[2:]
	for end := ecdsaSize / 2; end <= ecdsaSize; end += ecdsaSize / 2 {
		if len(rest) < 2 || rest[0] != integer || int(rest[1]) > len(rest)-2 {
			return [ecdsaSize]byte{}, errNotSignature
		}
		n := rest[2 : 2+int(rest[1])]
		rest = rest[2+len(n):]
		if len(n) == 0 || n[0]&0x80 != 0 { // none, or negative
			return [ecdsaSize]byte{}, errNotSignature
		}
		for len(n) > 0 && n[0] == 0 {
			n = n[1:]
		}
		if len(n) == 0 || len(n) > ecdsaSize/2 {
			return [ecdsaSize]byte{}, errNotSignature
		}
		copy(sig[end-len(n):], n)
	}
	if len(rest) > 0 {
		return [ecdsaSize]byte{}, errNotSignature
	}
	return sig, nil
}
