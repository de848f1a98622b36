package callchain

// Mode is how much of the chain a method requires, and a carrier sends. The zero Mode is
// none of them.
type Mode uint8

const (
	// ModePath is for what must be proved on the spot: all links back to the root travel and
	// are verified.
	ModePath Mode = iota + 1
	// ModeHead is for chains of any length: the last link travels and is verified; its
	// ancestors are known by hash.
	ModeHead
	// ModeOff is for methods that need no proof: no chain is required or read.
	ModeOff
)

// String returns the word for telemetry and configuration: "path", "head" or "off".
func (m Mode) String() string {
	switch m {
	case ModePath:
		return "path"
	case ModeHead:
		return "head"
	case ModeOff:
		return "off"
	}
	return "unset"
}
