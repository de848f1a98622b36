// Package svidleaf judges the shape of an X.509-SVID's leaf certificate, whoever signed it:
// what a connection and what a signed statement demand of it alike (X509-SVID sections 2,
// 4.3 and 5.2).
package svidleaf

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// What can be wrong with a leaf. Each is found with errors.Is.
var (
	// ErrURISAN: not exactly one URI SAN (X509-SVID section 2).
	ErrURISAN = errors.New("certificate must have exactly one URI SAN")
	// ErrSPIFFEID: the URI SAN is not a well-formed SPIFFE ID.
	ErrSPIFFEID = errors.New("URI SAN is not a SPIFFE ID")
	// ErrRootPath: the SPIFFE ID names a trust domain, not a workload (X509-SVID
	// section 5.2).
	ErrRootPath = errors.New("SPIFFE ID has no path")
	// ErrCA: the leaf certificate may sign others (X509-SVID section 5.2).
	ErrCA = errors.New("leaf certificate is a CA")
	// ErrKeyUsage: keyCertSign or cRLSign is set on the leaf, or digitalSignature is not
	// (X509-SVID sections 4.3 and 5.2).
	ErrKeyUsage = errors.New("leaf certificate has wrong key usage")
)

// Check returns the SPIFFE ID of leaf and, if anything is wrong with it, which of the
// errors above that is, with the cause if the check does not say it all. With one of the
// last three the ID is what the certificate claims, not necessarily rightly.
func Check(leaf *x509.Certificate) (id spiffeid.ID, check, cause error) {
	if n := len(leaf.URIs); n != 1 {
		return spiffeid.ID{}, ErrURISAN, fmt.Errorf("it has %d", n)
	}
	id, err := spiffeid.FromURI(leaf.URIs[0])
	if err != nil {
		return spiffeid.ID{}, ErrSPIFFEID, err
	}
	switch {
	case id.Path() == "":
		return id, ErrRootPath, nil
	case leaf.IsCA:
		return id, ErrCA, nil
	case leaf.KeyUsage&x509.KeyUsageCertSign != 0:
		return id, ErrKeyUsage, errors.New("keyCertSign is set")
	case leaf.KeyUsage&x509.KeyUsageCRLSign != 0:
		return id, ErrKeyUsage, errors.New("cRLSign is set")
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return id, ErrKeyUsage, errors.New("digitalSignature is not set")
	}
	return id, nil, nil
}
