package chainlog

import (
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Entry is one line of a log as it was read: nothing of it is verified but its form.
// Exactly one of Call, Certificate and Bundle is set; none is for the lines that a log
// writes about itself.
type Entry struct {
	// File, Line and Sequence are where it stands: the file, the line from 1, its number.
	File     string
	Line     int64
	Sequence uint64
	// Changed says that the line's hash is not that of its text.
	Changed bool
	// Text is the line. It is valid until the function returns that gets the Entry.
	Text []byte
	Time time.Time

	Call        *Call
	Certificate *Certificate
	Bundle      *Bundle
	// Opened says that a process has opened the log here, behind what another one had written.
	// At the top of a file there is no telling: each begins with such a line.
	Opened bool
	// Closed says that the server closed the log here.
	Closed bool
}

// Call is a callchain.Record as it was written down.
type Call struct {
	Server, Peer spiffeid.ID
	Method       string
	Mode         string
	// Transaction, TokenHash, Requester, IssuedAt and Anchor are of the TraT (txn, tth,
	// req_wl, iat, chn); zero when there was no valid one.
	Transaction string
	TokenHash   [32]byte
	Requester   string
	IssuedAt    time.Time
	Anchor      callchain.Hash
	Result      string
	// Reason is why the call was refused; empty when it was accepted.
	Reason string
	// Link is the last link of the chain, and Encoded the SHA-256 of what arrived.
	Link    callchain.Hash
	Encoded [32]byte
	// Received is what the traceparent said, Span the server's own span.
	Received, Span callchain.Trace
	// Certificates name those of the receipt by their SHA-256, in its order.
	Certificates [][32]byte

	body []byte // of the receipt
}

// Accepted reports whether the handler ran.
func (c *Call) Accepted() bool { return c.Reason == "" }

// HasReceipt reports whether a chain was verified.
func (c *Call) HasReceipt() bool { return c.body != nil }

// Receipt returns what Chain.Receipt had returned, given the certificates that Certificates
// names, in that order.
func (c *Call) Receipt(certificates [][]byte) (string, error) {
	if c.body == nil || len(certificates) != len(c.Certificates) {
		return "", errReceipt
	}
	return callchain.JoinReceipt(c.body, certificates)
}

// Certificate is one that calls and bundles name.
type Certificate struct {
	// SHA256 is its hash, which was compared.
	SHA256 [32]byte
	DER    []byte
}

// Bundle is what the server trusted from here on.
type Bundle struct {
	Server      spiffeid.ID
	TrustDomain spiffeid.TrustDomain
	Authorities [][32]byte
}
