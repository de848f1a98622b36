// Package callchain signs and verifies links: statements "I, workload X, call method M of
// workload Y in this transaction", each signed with X's X.509-SVID key. The links of one
// request, oldest first, are its chain. A chain proves through which workloads a request
// came; a Transaction Token (TraT) alone does not.
//
// A service behind package interceptors, which signs and verifies by itself, needs of all
// this only [FromContext], the [Chain] that it returns and the [Link]s in that, and, when it
// has several carriers, one [Signer] that they share. Everything else is for guards and
// carriers of other kinds, for token services and for audits.
//
// The bytes are specified in docs/call-chain-format.md. What cannot be forged, and what
// remains possible, is in docs/security-model.md.
package callchain
