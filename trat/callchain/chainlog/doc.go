// Package chainlog records what servers decide about call chains, for an audit that needs
// nothing of what was there at the time: File appends one line of JSON for each judged call,
// with the links that were verified, the certificates that they were signed under, and the
// bundles that were trusted. Lines are chained by hash. A guard writes into it by
// interceptors.WithChainLog. Files finds the files of a log, and Read reads them.
//
// The format is in docs/call-chain-audit.md; package chainaudit draws conclusions.
package chainlog
