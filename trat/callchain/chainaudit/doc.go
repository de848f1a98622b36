// Package chainaudit rebuilds transactions from the records of the servers that took part,
// long after they are over: who called whom, proved link by link, compared with the spans
// of a tracing backend and with the audit log of the token service. What does not fit
// together is a Finding.
//
// What is proved and what is not is in docs/call-chain-audit.md.
package chainaudit
