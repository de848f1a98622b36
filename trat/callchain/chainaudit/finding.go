package chainaudit

// Severity is how grave a finding is.
type Severity int

// Severities. Zero is none.
const (
	// SeverityInfo is as it can be in good order: a call that was refused.
	SeverityInfo Severity = iota + 1
	// SeverityWarning has innocent causes too: a record that was lost, a log that is still
	// being written.
	SeverityWarning
	// SeverityAlarm has none that the formats know of: somebody deviated from the protocol
	// or changed a record.
	SeverityAlarm
)

// String returns "info", "warning" or "alarm".
func (s Severity) String() string {
	switch s {
	case SeverityInfo:
		return "info"
	case SeverityWarning:
		return "warning"
	case SeverityAlarm:
		return "alarm"
	}
	return "none"
}

// MarshalText returns what String returns.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is something that does not fit together.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"`
	// Transaction is the txn; empty when the finding is about a log.
	Transaction string `json:"txn,omitempty"`
	// Link is the hash of the link in question, 43 characters, if there is one.
	Link string `json:"link,omitempty"`
	// Servers are the workloads that have to do with it: SPIFFE IDs, sorted.
	Servers []string `json:"servers,omitempty"`
	// Text says in one sentence what was found, for a person who has never seen the tool.
	Text string `json:"text"`
	// Log and Line are where it shows, if it shows in a file. Lines count from 1.
	Log  string `json:"log,omitempty"`
	Line int64  `json:"line,omitempty"`
}

// Kind is a kind of finding.
type Kind string

// Kinds of findings about a transaction.
const (
	// KindHopWithoutLink: spans show a call that no link covers.
	KindHopWithoutLink Kind = "hop without link"
	// KindLinkWithoutRecord: a link was signed, and the server that it names has no record.
	KindLinkWithoutRecord Kind = "link without server record"
	// KindTwoRoots: a chain begins with somebody else than the requester of its token, the
	// transaction begins with two requesters, or servers disagree about who that is.
	KindTwoRoots Kind = "two roots"
	// KindWrongAudience: a server accepted a link that was made for another one.
	KindWrongAudience Kind = "wrong audience"
	// KindMissingParent: a link continues one that nobody has recorded.
	KindMissingParent Kind = "missing parent"
	// KindDepthGap: a link's depth is not one more than that of its parent.
	KindDepthGap Kind = "depth gap"
	// KindForgedParent: a link continues one that its signer never received.
	KindForgedParent Kind = "forged parent"
	// KindSplicedLink: a link belongs to another token or transaction than its record.
	KindSplicedLink Kind = "spliced link"
	// KindSignatureInvalid: a recorded link's signature, certificate or form does not verify.
	KindSignatureInvalid Kind = "signature invalid"
	// KindAcceptedTwice: servers accepted one link more than once.
	KindAcceptedTwice Kind = "accepted twice"
	// KindRefused: a server refused a call.
	KindRefused Kind = "refused call"
	// KindTokenNotIssued: the log of the token service does not have the token.
	KindTokenNotIssued Kind = "token never issued"
	// KindTraceMismatch: the trace of a call is not the one in its link.
	KindTraceMismatch Kind = "trace mismatch"
	// KindSpanMismatch: a span says another link or transaction than what was signed.
	KindSpanMismatch Kind = "span mismatch"
	// KindRecordMismatch: a record says something else than the links in it.
	KindRecordMismatch Kind = "record contradicts its links"
)

// Kinds of findings about the inputs.
const (
	// KindLogDamaged: lines were changed, are missing, out of order, or no lines.
	KindLogDamaged Kind = "damaged log"
	// KindLogCut: the log, or a run of its process, does not end as one that was closed.
	KindLogCut Kind = "log without an end"
	// KindRecordsLost: the server says itself that it lost records.
	KindRecordsLost Kind = "records lost"
	// KindBundleUnknown: certificates cannot be judged, no bundle of their trust domain is
	// known.
	KindBundleUnknown Kind = "bundle unknown"
	// KindBundleDisputed: only some of the logs name an authority.
	KindBundleDisputed Kind = "bundle disputed"
	// KindTraceCrowded: so many transactions are in one trace that not all spans were held to
	// each of them.
	KindTraceCrowded Kind = "crowded trace"
	// KindInputUnreadable: lines of a trace export or of the token service's log cannot be
	// read.
	KindInputUnreadable Kind = "input unreadable"
)
