// Package hashchain has logs that show whether they were changed: append-only files of JSON
// lines, each with a number and the hash of the line before. File writes such a log, with
// rotation, and with checkpoints for another log; Verify tells whether one is as it was
// written, and gives its lines to whoever wants to read them.
//
// What the lines are about is the business of those who write them: the audit log of the
// token service (docs/audit-log.md, which has the format) and the chain logs of servers
// (docs/call-chain-audit.md).
package hashchain
