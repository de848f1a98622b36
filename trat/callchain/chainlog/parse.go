package chainlog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

var (
	errMember  = errors.New("chainlog: a member is not as it is written")
	errVersion = errors.New("chainlog: another version of the format")
	errEvent   = errors.New("chainlog: a line of another kind of log")
	errReceipt = errors.New("chainlog: no receipt, or other certificates than it names")
)

// callLine, certificateLine and bundleLine are the members of lines; see format.go.
type callLine struct {
	Time         time.Time `json:"time"`
	Version      int       `json:"v"`
	Server       string    `json:"server"`
	Peer         string    `json:"peer"`
	Method       string    `json:"method"`
	Mode         string    `json:"mode"`
	Txn          string    `json:"txn"`
	Token        string    `json:"tth"`
	Requester    string    `json:"req_wl"`
	IssuedAt     time.Time `json:"iat"`
	Anchor       string    `json:"chn"`
	Result       string    `json:"result"`
	Reason       string    `json:"reason"`
	Link         string    `json:"link"`
	Encoded      string    `json:"encoded"`
	Receipt      string    `json:"receipt"`
	Certificates []string  `json:"certificates"`
	Received     string    `json:"received"`
	Span         string    `json:"span"`
}

type certificateLine struct {
	Time        time.Time `json:"time"`
	Fingerprint string    `json:"x5t"`
	DER         string    `json:"der"`
}

type bundleLine struct {
	Time        time.Time `json:"time"`
	Server      string    `json:"server"`
	TrustDomain string    `json:"trust_domain"`
	Authorities []string  `json:"authorities"`
}

// parse reads a line into e. Members that it does not know are for later versions.
func (e *Entry) parse(event string, text []byte) error {
	switch event {
	case eventCall:
		return e.parseCall(text)
	case eventCertificate:
		return e.parseCertificate(text)
	case eventBundle:
		return e.parseBundle(text)
	case eventClosed:
		e.Closed = true
		return nil
	case semconv.EventAuditOpened:
		return e.parseOpened(text)
	case semconv.EventAuditResumed:
		return nil
	}
	return errEvent
}

func (e *Entry) parseOpened(text []byte) error {
	var l struct {
		Time time.Time `json:"time"`
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return errMember
	}
	e.Time = l.Time
	return nil
}

func (e *Entry) parseCall(text []byte) error {
	var l callLine
	if err := json.Unmarshal(text, &l); err != nil {
		return errMember
	}
	if l.Version != Version {
		return errVersion
	}
	var d decoder
	c := &Call{
		Server: d.id(l.Server), Peer: d.id(l.Peer), Method: l.Method, Mode: l.Mode,
		Transaction: l.Txn, TokenHash: d.hash(l.Token), Requester: l.Requester, IssuedAt: l.IssuedAt, Anchor: d.hash(l.Anchor),
		Result: l.Result, Reason: l.Reason, Link: d.hash(l.Link), Encoded: d.hash(l.Encoded),
		Received: d.trace(l.Received), Span: d.trace(l.Span),
		Certificates: d.hashes(l.Certificates, callchain.MaxCertificates),
	}
	if l.Receipt != "" {
		c.body = d.bytes(l.Receipt, b64.DecodedLen(callchain.MaxReceiptSize))
	}
	if d.failed || c.Server.IsZero() || l.Time.IsZero() || c.body == nil && len(c.Certificates) > 0 {
		return errMember
	}
	e.Time, e.Call = l.Time, c
	return nil
}

func (e *Entry) parseCertificate(text []byte) error {
	var l certificateLine
	if err := json.Unmarshal(text, &l); err != nil {
		return errMember
	}
	var d decoder
	c := &Certificate{SHA256: d.hash(l.Fingerprint), DER: d.bytes(l.DER, maxCertificate)}
	if d.failed || sha256.Sum256(c.DER) != c.SHA256 {
		return errMember
	}
	e.Time, e.Certificate = l.Time, c
	return nil
}

func (e *Entry) parseBundle(text []byte) error {
	var l bundleLine
	if err := json.Unmarshal(text, &l); err != nil {
		return errMember
	}
	domain, err := spiffeid.TrustDomainFromString(l.TrustDomain)
	var d decoder
	b := &Bundle{Server: d.id(l.Server), TrustDomain: domain, Authorities: d.hashes(l.Authorities, maxAuthorities)}
	if err != nil || d.failed || l.Time.IsZero() || b.Server.IsZero() {
		return errMember
	}
	e.Time, e.Bundle = l.Time, b
	return nil
}

// decoder turns text into values; an empty one into zero. It remembers whether one failed.
type decoder struct{ failed bool }

func (d *decoder) bytes(s string, limit int) []byte {
	if len(s) > b64.EncodedLen(limit) {
		d.failed = true
		return nil
	}
	b, err := b64.DecodeString(s)
	d.failed = d.failed || err != nil
	return b
}

func (d *decoder) hash(s string) (h [32]byte) {
	if s == "" {
		return h
	}
	b := d.bytes(s, len(h))
	if len(b) != len(h) {
		d.failed = true
		return h
	}
	return [32]byte(b)
}

func (d *decoder) hashes(list []string, limit int) [][32]byte {
	if len(list) > limit {
		d.failed = true
		return nil
	}
	var hashes [][32]byte
	for _, s := range list {
		d.failed = d.failed || s == ""
		hashes = append(hashes, d.hash(s))
	}
	return hashes
}

func (d *decoder) id(s string) spiffeid.ID {
	if s == "" {
		return spiffeid.ID{}
	}
	id, err := spiffeid.FromString(s)
	d.failed = d.failed || err != nil
	return id
}

func (d *decoder) trace(s string) (t callchain.Trace) {
	if s == "" {
		return t
	}
	trace, span, _ := strings.Cut(s, "-")
	d.hex(t.TraceID[:], trace)
	d.hex(t.SpanID[:], span)
	return t
}

func (d *decoder) hex(to []byte, s string) {
	if len(s) != hex.EncodedLen(len(to)) {
		d.failed = true
		return
	}
	_, err := hex.Decode(to, []byte(s))
	d.failed = d.failed || err != nil
}
