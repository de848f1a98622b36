package auditlog

import "github.com/grpc-trat/grpc-trat/internal/hashchain"

// What a File is made of, and what tells whether it was changed.
type (
	// FileConfig is what a File is made of. OpenFile reports all problems of it at once. It
	// prints without its key.
	FileConfig = hashchain.FileConfig
	// SyncMode is when records are forced from the operating system's memory to disk.
	SyncMode = hashchain.SyncMode
	// Head is a point that a log has reached: its last line then.
	Head = hashchain.Head
	// VerifyOptions say what a log is held to.
	VerifyOptions = hashchain.VerifyOptions
	// Report is what Verify has found.
	Report = hashchain.Report
	// Break is one place where a log is not as it was written.
	Break = hashchain.Break
	// BreakKind is a way in which a log is not as it was written.
	BreakKind = hashchain.BreakKind
)

// When records are forced to disk.
const (
	SyncPeriodic = hashchain.SyncPeriodic
	SyncRecord   = hashchain.SyncRecord
	SyncNever    = hashchain.SyncNever
)

// DefaultMaxSize is the size from which a file is rotated, in bytes.
const DefaultMaxSize = hashchain.DefaultMaxSize

// ErrBroken is in the error of Verify for a log that is not as it was written.
var ErrBroken = hashchain.ErrBroken
