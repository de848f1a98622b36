package hashchain

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// damage is what stands behind the last whole line of a file.
type damage struct {
	// open: nothing, but the line has no newline yet.
	open bool
	// torn is how many bytes of a line, or of several attempts at one, are there.
	torn int64
	hash hash.Hash // SHA-256 of them
}

// add takes in what a failed attempt has written.
func (d *damage) add(text []byte) {
	if len(text) == 0 {
		return
	}
	if d.open { // the newline came first
		d.open, text = false, text[1:]
	}
	if len(text) == 0 {
		return
	}
	if d.hash == nil {
		d.hash = sha256.New()
	}
	d.hash.Write(text)
	d.torn += int64(len(text))
}

// mark describes d, for the line that follows it.
func (d *damage) mark(lost uint64) mark {
	m := mark{Lost: lost, Torn: d.torn}
	if d.torn > 0 {
		m.TornHash = hex.EncodeToString(d.hash.Sum(nil))
	}
	return m
}
