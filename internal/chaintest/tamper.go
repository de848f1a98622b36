package chaintest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Lines returns the lines of a log, newlines included.
func (w *World) Lines(name string) []string {
	w.tb.Helper()
	text, err := os.ReadFile(w.LogPath(name))
	w.check(err)
	return slices.Collect(strings.Lines(string(text)))
}

// SetLines replaces a log as it is given.
func (w *World) SetLines(name string, lines []string) {
	w.tb.Helper()
	w.check(os.WriteFile(w.LogPath(name), []byte(strings.Join(lines, "")), 0o600))
}

// Rechain replaces a log as its own server can, that has no key to be found out by: with
// numbers and hashes that fit.
func (w *World) Rechain(name string, lines []string) {
	w.tb.Helper()
	const first, before, hash = `{"seq":`, `,"prev":"`, `,"hash":"`
	previous := strings.Repeat("0", 2*sha256.Size)
	out := make([]string, 0, len(lines))
	for i, line := range lines {
		sealed, _, ok := strings.Cut(line, hash)
		_, rest, found := strings.Cut(sealed, before)
		if !ok || !found {
			w.tb.Fatalf("no line of a log: %s", line)
		}
		sealed = first + strconv.Itoa(i+1) + before + previous + rest[len(previous):]
		sum := sha256.Sum256([]byte(sealed))
		previous = hex.EncodeToString(sum[:])
		out = append(out, sealed+hash+previous+"\"}\n")
	}
	w.SetLines(name, out)
}
