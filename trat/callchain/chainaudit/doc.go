// Package chainaudit rebuilds transactions from the records of the servers that took part,
// long after they are over: who called whom, proved link by link, compared with the spans
// of a tracing backend and with the audit log of the token service. What does not fit
// together is a Finding. Package render shows a Report.
//
// What is proved and what is not is in docs/call-chain-audit.md.
//
// # How it works
//
// Inputs are of any size and in any order, so they are sorted by transaction first, on disk,
// and then judged one transaction after the other. To read the code, begin with Run in
// audit.go and what it returns in report.go and finding.go, and follow stages.go:
//
//   - find: files.go says which files are one log;
//   - read and sort: readlogs.go, readtraces.go (with otlp.go) and readissued.go put what they
//     read to its transaction, by internal/spool; certificates.go and bundles.go keep what
//     chains are verified with;
//   - load: load.go takes all that there is of a transaction into memory;
//   - judge: judge.go goes through one transaction. prove.go verifies the chains that were
//     recorded and says what is wrong with those that do not verify, tree.go connects their
//     links and holds them to each other, and spans.go holds them to the spans;
//   - count: count.go makes the Report, with what noted.go has kept about the inputs.
package chainaudit
