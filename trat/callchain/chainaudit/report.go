package chainaudit

import (
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Report is the result of an audit.
type Report struct {
	// Logs are the chain logs that were read, in the order in which they were given.
	Logs []Log `json:"logs"`
	// Counts says how much there was.
	Counts Counts `json:"counts"`
	// Kinds is how many findings of each kind there are, in all transactions and logs.
	Kinds map[Kind]int64 `json:"kinds"`
	// Findings are those of no one transaction: about the logs and the other inputs.
	Findings []Finding `json:"findings,omitempty"`
	// MoreFindings is how many of those there are beyond Options.MaxFindings.
	MoreFindings int64 `json:"more_findings,omitempty"`
	// Transactions are the first Options.Keep: the worst first, equally bad ones by their
	// start. Options.Each sees all of them.
	Transactions []*Transaction `json:"transactions"`
	// BundlesFrom says what the certificates were held to. With BundlesFromLogs a report that
	// is clean says no more than that all fits together if the servers trusted whom they should.
	BundlesFrom BundleSource `json:"bundles_from"`
	// SpansGiven says that there were trace exports. Without them a call of which only servers
	// knew that have no record of it, because its last server's log was withheld or rewritten,
	// cannot be seen.
	SpansGiven bool `json:"spans_given"`
}

// BundleSource is where bundles are from.
type BundleSource string

const (
	// BundlesGiven are those of Input.Bundles.
	BundlesGiven BundleSource = "given"
	// BundlesFromLogs are those that the servers say they trusted: trust is taken from the logs
	// themselves.
	BundlesFromLogs BundleSource = "logs"
)

// Clean reports whether there is no finding but of SeverityInfo. See BundlesFrom and SpansGiven
// for what that is worth.
func (r *Report) Clean() bool { return r.Counts.Alarms == 0 && r.Counts.Warnings == 0 }

// Log is one file of records.
type Log struct {
	Name string `json:"name"`
	// Server is the workload that wrote it, as it says first.
	Server string `json:"server,omitempty"`
	// ID is the id of the log, First and Last the numbers of its first and last line.
	ID      string `json:"id,omitempty"`
	First   uint64 `json:"first_sequence"`
	Last    uint64 `json:"last_sequence"`
	Records int64  `json:"records"`
	// Lost is how many records the server says that it could not write.
	Lost uint64 `json:"lost"`
	// Damaged is how many lines are no lines of a log, were changed, or are out of place.
	Damaged int64 `json:"damaged"`
	// Unused is how many of Records no transaction got: somebody has changed them, or they are
	// in the name of another server.
	Unused int64 `json:"unused"`
	// Closed says that the log ends with the line that a File writes last.
	Closed bool `json:"closed"`
}

// Counts says how much an audit has read and found.
type Counts struct {
	Records      int64 `json:"records"`
	Accepted     int64 `json:"accepted"`
	Refused      int64 `json:"refused"`
	Transactions int64 `json:"transactions"`
	// CleanTransactions have no finding but of SeverityInfo.
	CleanTransactions int64 `json:"clean_transactions"`
	// NotedTransactions are those of CleanTransactions that have one.
	NotedTransactions int64 `json:"noted_transactions"`
	// Unjudged are transactions, not counted as such, that only spans or the log of the token
	// service tell of.
	Unjudged int64 `json:"unjudged"`
	Hops     int64 `json:"hops"`
	// Proved is how many hops have a signature that was verified.
	Proved int64 `json:"proved"`
	Spans  int64 `json:"spans"`
	// Issued is how many tokens the log of the token service has.
	Issued   int64 `json:"issued"`
	Alarms   int64 `json:"alarms"`
	Warnings int64 `json:"warnings"`
	Infos    int64 `json:"infos"`
}

// judged counts a call that was accepted or refused.
func (c *Counts) judged(accepted bool) {
	if accepted {
		c.Accepted++
	} else {
		c.Refused++
	}
}

// read takes over how much was read.
func (c *Counts) read(from *Counts) {
	c.Records, c.Accepted, c.Refused, c.Spans, c.Issued = from.Records, from.Accepted, from.Refused, from.Spans, from.Issued
}

// Transaction is one transaction, with its calls as a tree.
type Transaction struct {
	// ID is the transaction id (txn).
	ID string `json:"txn"`
	// KnownFrom is what tells of it.
	KnownFrom Knowledge `json:"known_from"`
	// Start and End are the times of the first and the last thing that is known of it.
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
	// Tokens are the TraTs of the transaction, the first one first.
	Tokens []Token `json:"tokens"`
	// Roots are the calls that no other known call led to. All are of one caller in a
	// transaction that is as it should be.
	Roots []*Hop `json:"roots"`
	// Refused are refused calls of which no link was verified.
	Refused []Judgement `json:"refused,omitempty"`
	// Findings are all findings of the transaction, by severity and time. Those of a hop
	// have its link.
	Findings []Finding `json:"findings,omitempty"`
	// Hops and Proved count the tree.
	Hops   int `json:"hops"`
	Proved int `json:"proved"`
	// Spans is how many spans of the transaction's traces there are.
	Spans int `json:"spans"`
}

// Worst returns the gravest severity of a finding; 0 without findings.
func (t *Transaction) Worst() Severity {
	worst := Severity(0)
	for i := range t.Findings {
		worst = max(worst, t.Findings[i].Severity)
	}
	return worst
}

// Knowledge is what tells of a transaction.
type Knowledge string

// What can tell.
const (
	// KnownFromRecords: servers have recorded calls of it.
	KnownFromRecords Knowledge = "records"
	// KnownFromSpans: spans name it, and no server has recorded a call, so that no chain was
	// judged.
	KnownFromSpans Knowledge = "spans"
	// KnownFromIssuance: only the log of the token service tells of it.
	KnownFromIssuance Knowledge = "issuance"
)

// Token is one TraT of a transaction.
type Token struct {
	// Hash is its SHA-256, base64url, 43 characters.
	Hash string `json:"hash"`
	// Requester is req_wl; Anchor chn, the link before the checkpoint that made the token.
	Requester string    `json:"req_wl"`
	Anchor    string    `json:"chn,omitempty"`
	IssuedAt  time.Time `json:"iat,omitzero"`
	// Issued is what the log of the token service says of it.
	Issued Issuance `json:"issued"`
}

// Issuance is what the log of the token service says of a token.
type Issuance string

// What it can say.
const (
	// IssuanceUnknown: no such log was given.
	IssuanceUnknown Issuance = "unknown"
	// IssuanceRecorded: it was issued as the servers say.
	IssuanceRecorded Issuance = "recorded"
	// IssuanceContradicted: the log does not have it, or says something else of it. A finding
	// of KindTokenNotIssued says which.
	IssuanceContradicted Issuance = "contradicted"
)

// Hop is one call: one link of the transaction, or a call that should have one.
type Hop struct {
	// Link is the hash of the link, 43 characters; empty for a call that only spans tell of.
	Link string `json:"link,omitempty"`
	// Parent is the hash of the link that led to it; Anchor that of the last link before a
	// checkpoint. Both are empty on the first call of a transaction.
	Parent string `json:"parent,omitempty"`
	Anchor string `json:"anchor,omitempty"`
	Depth  int    `json:"depth"`
	// Caller and Callee are SPIFFE IDs, or names of services where only spans tell.
	Caller   string    `json:"caller"`
	Callee   string    `json:"callee"`
	Method   string    `json:"method"`
	IssuedAt time.Time `json:"iat,omitzero"`
	// Token is the hash of the TraT that went with the call.
	Token string `json:"token,omitempty"`
	// Proof is what the hop is known by.
	Proof Proof `json:"proof"`
	// Judgements are what servers have recorded of the call, oldest first.
	Judgements []Judgement `json:"judgements,omitempty"`
	// Client and Server are the spans of the call, if there are.
	Client *Span `json:"client_span,omitempty"`
	Server *Span `json:"server_span,omitempty"`
	// Findings are indices into Transaction.Findings.
	Findings []int `json:"findings,omitempty"`
	// Children are the calls that the callee made because of this one, by time.
	Children []*Hop `json:"children,omitempty"`

	hash callchain.Hash
}

// Proof is how well a hop is known.
type Proof string

// Proofs.
const (
	// ProofSigned: the caller's signature was verified.
	ProofSigned Proof = "signed"
	// ProofNamed: a verified link names it as its parent by hash, and nothing else is known.
	ProofNamed Proof = "named"
	// ProofFailed: a server recorded it, but it does not verify.
	ProofFailed Proof = "failed"
	// ProofSpans: only spans tell of it; spans are not signed.
	ProofSpans Proof = "spans"
)

// Judgement is what one server has recorded of one call.
type Judgement struct {
	Time   time.Time `json:"time"`
	Server string    `json:"server"`
	// Replica is the id of the log.
	Replica string `json:"replica,omitempty"`
	Peer    string `json:"peer,omitempty"`
	Method  string `json:"method,omitempty"`
	Mode    string `json:"mode,omitempty"`
	// Accepted says that the handler ran. Result is the txn_chain.result, Reason why the
	// call was refused.
	Accepted bool   `json:"accepted"`
	Result   string `json:"result,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Log and Line are where it stands.
	Log  string `json:"log"`
	Line int64  `json:"line"`
}

// Span is one span of a trace export.
type Span struct {
	TraceID  string    `json:"trace_id"`
	SpanID   string    `json:"span_id"`
	ParentID string    `json:"parent_id,omitempty"`
	Service  string    `json:"service,omitempty"`
	Name     string    `json:"name,omitempty"`
	Kind     SpanKind  `json:"kind"`
	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
	// Txn and Link are the attributes txn_token.txn and txn_chain.link.hash.
	Txn  string `json:"txn,omitempty"`
	Link string `json:"link,omitempty"`
	// Method is rpc.method, without a leading slash; Outcome txn_token.outcome and Result
	// txn_token.result, by which a span tells that a call carried a token, or was judged.
	Method  string `json:"method,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Result  string `json:"result,omitempty"`
	// Mode and ChainResult are txn_chain.mode and txn_chain.result.
	Mode        string `json:"mode,omitempty"`
	ChainResult string `json:"chain_result,omitempty"`
}

// SpanKind is the kind of a span, in the words of OpenTelemetry.
type SpanKind string

// Kinds of spans. Others are "internal", "producer" and "consumer".
const (
	SpanClient SpanKind = "client"
	SpanServer SpanKind = "server"
)
