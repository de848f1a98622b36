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
	// IssuedAt (iat) and Expiry (exp) bound the token's life.
	IssuedAt, Expiry time.Time
	// TransactionContext (tctx) holds the parameters that the transaction is bound to.
	TransactionContext Object
	// RequestContext (rctx) says where the request came from.
	RequestContext Object
}

// String returns the type and the txn.
func (c Claims) String() string { return fmt.Sprintf("trat.Claims(txn=%q)", c.TransactionID) }

// Format prints what String returns, whatever the verb.
func (c Claims) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns the txn.
func (c Claims) LogValue() slog.Value {
	return slog.GroupValue(slog.String("txn", c.TransactionID))
}
