package chainlog

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// call is a record on its way into the log, without the certificates of its receipt.
type call struct {
	record       *callchain.Record
	body         []byte // of the receipt
	certificates []string
}

// entry is the line of a call.
func (c *call) entry() hashchain.Entry {
	return hashchain.Entry{Event: eventCall, Time: c.record.Time, Write: c.write}
}

func (c *call) write(m *hashchain.Members) {
	r := c.record
	m.Add(memberVersion, slog.IntValue(Version))
	text(m, memberServer, r.Server.String())
	text(m, memberPeer, r.Peer.String())
	text(m, memberMethod, r.Method)
	text(m, memberMode, r.Mode.String())
	if r.Token != nil {
		claims := r.Token.Claims()
		digest := r.Token.Digest()
		text(m, memberTxn, claims.TransactionID)
		text(m, memberToken, b64.EncodeToString(digest[:]))
		text(m, memberRequester, claims.RequestingWorkload)
		m.Add(memberIssuedAt, slog.TimeValue(claims.IssuedAt))
		text(m, memberAnchor, callchain.Hash(claims.CallChainHash).String())
	}
	text(m, memberResult, r.Result)
	text(m, memberReason, string(r.Reason))
	text(m, memberLink, linkOf(r.Chain))
	if r.Encoded != [32]byte{} {
		text(m, memberEncoded, b64.EncodeToString(r.Encoded[:]))
	}
	if c.body != nil {
		text(m, memberReceipt, b64.EncodeToString(c.body))
		m.Add(memberCertificates, slog.AnyValue(c.certificates))
	}
	text(m, memberReceived, traceText(r.Received))
	text(m, memberSpan, traceText(r.Span))
}

// linkOf names the link that brought the chain.
func linkOf(c *callchain.Chain) string {
	if c.Len() == 0 {
		return ""
	}
	return c.Last().Hash().String()
}

// text adds a member that is left out when it is empty.
func text(m *hashchain.Members, key, value string) {
	if value != "" {
		m.Add(key, slog.StringValue(value))
	}
}

// traceText is "trace id-span id", both in hexadecimal, as in a traceparent.
func traceText(t callchain.Trace) string {
	if t.IsZero() {
		return ""
	}
	return hex.EncodeToString(t.TraceID[:]) + "-" + hex.EncodeToString(t.SpanID[:])
}

// certificateEntry is the line of a certificate.
func certificateEntry(now time.Time, fingerprint string, der []byte) hashchain.Entry {
	return hashchain.Entry{Event: eventCertificate, Time: now, Write: func(m *hashchain.Members) {
		m.Add(memberFingerprint, slog.StringValue(fingerprint))
		m.Add(memberDER, slog.StringValue(b64.EncodeToString(der)))
	}}
}

// bundleEntry is the line of a bundle whose authorities have lines of their own.
func bundleEntry(now time.Time, server string, bundle *x509bundle.Bundle, authorities []string) hashchain.Entry {
	return hashchain.Entry{Event: eventBundle, Time: now, Write: func(m *hashchain.Members) {
		m.Add(memberServer, slog.StringValue(server))
		m.Add(memberTrustDomain, slog.StringValue(bundle.TrustDomain().Name()))
		m.Add(memberAuthorities, slog.AnyValue(authorities))
	}}
}

// fingerprintOf names a certificate: its SHA-256, base64url, 43 characters.
func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return b64.EncodeToString(sum[:])
}
