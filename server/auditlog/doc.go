// Package auditlog has the sinks for the audit records of a token service: implementations
// of server.Auditor.
//
//   - Log writes to log/slog;
//   - File writes a hash-chained, append-only file of JSON lines, and Verify tells whether
//     such a file is as it was written;
//   - OTLP writes to OpenTelemetry's logs;
//   - Tee gives each record to several of them.
//
// All write the same attributes, by one table. The format of the file, what it protects
// from and what it does not is in docs/audit-log.md.
package auditlog
