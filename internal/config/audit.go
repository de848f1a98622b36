package config

import (
	"time"

	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

// StandardError is Audit.File for records on standard error.
const StandardError = "-"

// Bounds of audit.max_size, in bytes: a file holds some records, and can be copied.
const (
	minAuditSize = 64 << 10
	maxAuditSize = 1 << 40
)

var syncModes = map[string]auditlog.SyncMode{
	"periodic": auditlog.SyncPeriodic,
	"record":   auditlog.SyncRecord,
	"never":    auditlog.SyncNever,
}

// Audit says where audit records go and what they say of subjects.
type Audit struct {
	// File is the path of the hash-chained log, or StandardError, where records are not
	// chained.
	File string
	// Sync says when records of File are forced to disk.
	Sync auditlog.SyncMode
	// MaxSize is the size from which File is rotated, in bytes.
	MaxSize int64
	// ChainKey chains the lines of File by a keyed hash, which only its holders can make;
	// nil: by a hash that anybody can make.
	ChainKey *Key
	// OTLP sends each record as an OTLP log record too.
	OTLP bool
	// PseudonymKey is the key of the pseudonyms of subjects; nil: one that ends with the
	// process.
	PseudonymKey *Key
	// PseudonymPeriod is how often a subject's pseudonym changes.
	PseudonymPeriod time.Duration
}

// audit checks where audit records go.
func (c *checker) audit(a audit, out *Config) {
	c.within("audit.pseudonym_period", a.PseudonymPeriod, time.Hour, 366*24*time.Hour)
	sync, ok := syncModes[a.Sync]
	if !ok {
		c.bad("audit.sync", "want periodic, record or never")
	}
	if a.MaxSize < minAuditSize || a.MaxSize > maxAuditSize {
		c.bad("audit.max_size", "want %d to %d", minAuditSize, maxAuditSize)
	}
	out.Audit = Audit{
		File:            a.File,
		Sync:            sync,
		MaxSize:         a.MaxSize,
		ChainKey:        c.key("audit.chain_key_file", a.ChainKeyFile),
		OTLP:            a.OTLP,
		PseudonymKey:    c.key("audit.pseudonym_key_file", a.PseudonymKeyFile),
		PseudonymPeriod: a.PseudonymPeriod,
	}
	if a.File != StandardError {
		return
	}
	for _, key := range []string{"sync", "max_size", "chain_key_file"} {
		if c.lines["audit."+key] != 0 {
			c.bad("audit."+key, "is for a file: records on standard error are neither chained nor kept")
		}
	}
}
