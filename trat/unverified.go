package trat

import (
	"fmt"
	"io"
	"log/slog"
)

// Unverified is what a text that looks like a TraT says. It is no authority for
// anything: nobody has checked who said so. It prints as its txn.
type Unverified struct {
	claims Claims
	header header
}

// ParseUnverified reads a TraT without trusting it: for tools that show one, and for
// an issuer that reads again what it signed. It makes the checks of
// [Verifier.Verify] that need no configuration (size, shape, header, claim types) and
// fails with the same reasons.
func ParseUnverified(raw string) (*Unverified, error) {
	segments, err := splitCompact(raw)
	if err != nil {
		return nil, err
	}
	var buf signatureBuffer
	d, err := segments.decode(&buf)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(d.header)
	if err != nil {
		return nil, err
	}
	if err := h.checkType(); err != nil {
		return nil, err
	}
	p, err := parsePayload(d.payload)
	if err != nil {
		return nil, err
	}
	return &Unverified{claims: p.claims, header: h}, nil
}

// Claims returns the claims that the text makes.
func (u *Unverified) Claims() Claims { return u.claims }

// KeyID returns the kid of the header.
func (u *Unverified) KeyID() string { return u.header.kid }

// Algorithm returns the alg of the header, which may be none that this package
// knows.
func (u *Unverified) Algorithm() Algorithm { return u.header.alg }

// String returns the type and the txn.
func (u *Unverified) String() string {
	return fmt.Sprintf("trat.Unverified(txn=%q)", u.claims.TransactionID)
}

// Format prints what String returns, whatever the verb.
func (u *Unverified) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue returns the txn.
func (u *Unverified) LogValue() slog.Value { return u.claims.LogValue() }
