package svidleaf

import (
	"bytes"
	"crypto/x509"
	"slices"
)

// Intermediates returns those of certs that authorities have signed, themselves or through
// others of certs. Whoever sends certificates chooses their keys and names: handed to
// x509.Certificate.Verify as they come, six of one name with keys on P-521 cost a tenth of
// a second. From the authorities down, no key is used but those of certificates that are
// trusted already.
func Intermediates(authorities, certs []*x509.Certificate) []*x509.Certificate {
	var known []*x509.Certificate
	unknown := slices.Clone(certs)
	for parents := authorities; len(parents) > 0 && len(unknown) > 0; {
		var signed []*x509.Certificate
		unknown = slices.DeleteFunc(unknown, func(cert *x509.Certificate) bool {
			if !slices.ContainsFunc(parents, func(parent *x509.Certificate) bool { return signedBy(cert, parent) }) {
				return false
			}
			signed = append(signed, cert)
			return true
		})
		known, parents = append(known, signed...), signed
	}
	return known
}

func signedBy(cert, parent *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, parent.RawSubject) && cert.CheckSignatureFrom(parent) == nil
}
