package hashchain

import (
	"fmt"
	"io"
	"log/slog"
)

// Key is what HMAC-SHA256 chains the lines of a log with, so that only its holders can make
// lines that pass Verify: at least 32 random bytes. Nil: no key. It prints without its bytes,
// also as an exported field of what is printed; package fmt asks no other fields.
type Key []byte

// String tells how long the key is.
func (k Key) String() string {
	if k == nil {
		return "no key"
	}
	return fmt.Sprintf("key of %d bytes", len(k))
}

// Format prints what String returns, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue returns what String returns.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns what String returns: as JSON, too, it has no bytes.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
