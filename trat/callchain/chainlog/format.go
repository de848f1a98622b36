package chainlog

import (
	"encoding/base64"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// Version is that of the lines of calls.
const Version = 1

// The lines of a log, by their event.name. Those that the log writes about itself are
// package hashchain's.
const (
	eventCall        = semconv.EventChainAudit
	eventCertificate = semconv.EventChainAuditCertificate // one that lines of calls and bundles name
	eventBundle      = semconv.EventChainAuditBundle      // the authorities that are trusted from here on
	eventClosed      = semconv.EventChainAuditClosed      // written last
)

// isOwn reports whether only chain logs have lines of the event.
func isOwn(event string) bool {
	return event == eventCall || event == eventCertificate || event == eventBundle || event == eventClosed
}

// Members of the lines. docs/call-chain-audit.md says what they hold.
const (
	memberVersion      = "v"
	memberServer       = "server"
	memberPeer         = "peer"
	memberMethod       = "method"
	memberMode         = "mode"
	memberTxn          = "txn"
	memberToken        = "tth"
	memberRequester    = "req_wl"
	memberIssuedAt     = "iat"
	memberAnchor       = "chn"
	memberResult       = "result"
	memberReason       = "reason"
	memberLink         = "link"
	memberEncoded      = "encoded"
	memberReceipt      = "receipt"
	memberCertificates = "certificates"
	memberReceived     = "received"
	memberSpan         = "span"

	memberFingerprint = "x5t"
	memberDER         = "der"
	memberTrustDomain = "trust_domain"
	memberAuthorities = "authorities"
)

// Limits of what a reader takes, beside those of package callchain for receipts.
const (
	maxCertificate = 16 << 10 // also of an authority
	maxAuthorities = 256      // of a bundle
)

// b64 is the only text form of bytes in a log.
var b64 = base64.RawURLEncoding.Strict()
