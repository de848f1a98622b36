package trat

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Claims are the claims of a TraT (draft section 9.2) as values. Times have a
// resolution of one second.
//
// A Claims prints its txn and nothing else through fmt and log/slog: the rest may
// be personal.
type Claims struct {
	// Issuer (iss) is the https URL of the token service.
	Issuer string
	// Subject (sub) is the principal of the transaction, unique in the trust domain.
	Subject string
	// Audience (aud) is the name of the trust domain.
	Audience string
	// TransactionID (txn) is the same in every call of one transaction.
	TransactionID string
	// Scope is the purpose of the transaction.
	Scope Scope
	// RequestingWorkload (req_wl) is the workload that asked for the token.
	RequestingWorkload string
	// RequestingWorkloadChain (req_wl_chain) has RequestingWorkload last and, before it,
	// those of the tokens that this one replaces. Zero unless it replaces one.
	RequestingWorkloadChain WorkloadChain
	// ReplacementCount (rpl_cnt) is how many tokens of the transaction were replaced up to
	// this one: one less than RequestingWorkloadChain has workloads.
	ReplacementCount int
	// TransactionStart (txn_iat) is IssuedAt of the transaction's first token. Zero unless
	// the token replaces one.
	TransactionStart time.Time
	// CallChainHash (chn) is the hash of the last link of the call chain by which the token
	// that this one replaces had come to RequestingWorkload: callchain.Hash(CallChainHash).
	// The chain of calls with this token begins anew and is bound to it. Zero unless the token
	// replaces one that had come with a chain.
	CallChainHash [32]byte
	// IssuedAt (iat) and Expiry (exp) bound the token's life.
	IssuedAt, Expiry time.Time
	// TransactionContext (tctx) holds the parameters that the transaction is bound to.
	TransactionContext Object
	// RequestContext (rctx) says where the request came from.
	RequestContext Object
}

// Requesters returns the workloads that requested the tokens of the transaction up to this
// one, the first one first and RequestingWorkload last: RequestingWorkloadChain, or
// RequestingWorkload alone for the first token of a transaction. That chain of one is for
// reading and for WorkloadChain.With; as RequestingWorkloadChain it is not valid.
func (c Claims) Requesters() WorkloadChain {
	if c.RequestingWorkloadChain.IsZero() {
		return WorkloadChain{text: c.RequestingWorkload}
	}
	return c.RequestingWorkloadChain
}

// FirstIssuedAt returns when the transaction's first token was issued: TransactionStart, or
// IssuedAt of a token that is the first.
func (c Claims) FirstIssuedAt() time.Time {
	if c.TransactionStart.IsZero() {
		return c.IssuedAt
	}
	return c.TransactionStart
}

// checkReplacement holds the claims of a replacement, which the draft leaves to the
// implementation (section 13.15), to each other: the three of the requesters all or none and
// of one history, chn only with them. It returns the claim at fault.
func (c *Claims) checkReplacement() (claim string, err error) {
	chain := c.RequestingWorkloadChain
	if chain.IsZero() && c.ReplacementCount == 0 && c.TransactionStart.IsZero() {
		if c.CallChainHash != [digestSize]byte{} {
			return "chn", errMismatch
		}
		return "", nil
	}
	switch {
	case chain.IsZero():
		return "req_wl_chain", errAbsent
	case chain.Len() < 2:
		return "req_wl_chain", errRange
	case chain.Last() != c.RequestingWorkload:
		return "req_wl_chain", errMismatch
	case c.ReplacementCount != chain.Len()-1:
		return "rpl_cnt", errMismatch
	case c.TransactionStart.IsZero():
		return "txn_iat", errAbsent
	case c.TransactionStart.Unix() < 0:
		return "txn_iat", errRange
	case c.TransactionStart.After(c.IssuedAt):
		return "txn_iat", errFuture
	}
	return "", nil
}

// String returns the type and the txn.
func (c Claims) String() string { return fmt.Sprintf("trat.Claims(txn=%q)", c.TransactionID) }

// Format prints what String returns, whatever the verb.
func (c Claims) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns the txn.
func (c Claims) LogValue() slog.Value {
	return slog.GroupValue(slog.String("txn", c.TransactionID))
}
