package hashchain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strconv"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// MaxLine is the longest line of a log, in bytes without its newline.
const MaxLine = 64 << 10

// A line is {"seq":N,"prev":"H","event.name":"E",...,"hash":"H"}: it begins and ends in
// exactly this way, so that its hash is that of its bytes, whatever JSON they are.
const (
	beforeSeq   = `{"seq":`
	beforePrev  = `,"prev":"`
	beforeEvent = `","` + semconv.EventName + `":"`
	beforeHash  = `,"hash":"`
	afterHash   = `"}`
	sealSize    = len(beforeHash) + hashSize + len(afterHash)
)

var newline = []byte{'\n'}

// Functions that chain lines.
const (
	plainHash = "sha256"
	keyedHash = "hmac-sha256"
)

// minKey is the shortest key, in bytes: as many as the hash has.
const minKey = sha256.Size

// newHash returns the function that chains the lines of a log, and its name.
func newHash(key []byte) (h hash.Hash, name string) {
	if len(key) == 0 {
		return sha256.New(), plainHash
	}
	return hmac.New(sha256.New, key), keyedHash
}

// keyName names a key without giving it away; empty for none.
func keyName(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("name of the key"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// hashOf returns the hash of the sealed text of a line, in hexadecimal.
func hashOf(h hash.Hash, text []byte) [hashSize]byte {
	var sum [sha256.Size]byte
	var digits [hashSize]byte
	h.Reset()
	h.Write(text)
	hex.Encode(digits[:], h.Sum(sum[:0]))
	return digits
}

// line is one line as it stands in a file.
type line struct {
	seq   uint64
	prev  string
	event string
	hash  string // as the line has it
	text  []byte // what the hash is of
}

// parseLine takes a line apart. It says no to what a File does not write, but does not
// compare the hash.
func parseLine(b []byte) (l line, ok bool) {
	if len(b) < sealSize || len(b) > MaxLine {
		return line{}, false
	}
	text, seal := b[:len(b)-sealSize], b[len(b)-sealSize:]
	if !bytes.HasPrefix(seal, []byte(beforeHash)) || !bytes.HasSuffix(seal, []byte(afterHash)) {
		return line{}, false
	}
	l = line{text: text, hash: string(seal[len(beforeHash) : len(seal)-len(afterHash)])}
	rest, ok := bytes.CutPrefix(text, []byte(beforeSeq))
	if !ok {
		return line{}, false
	}
	number, rest, ok := bytes.Cut(rest, []byte(beforePrev))
	if !ok || len(number) == 0 || len(number) > 20 || number[0] == '0' {
		return line{}, false
	}
	seq, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil || len(rest) < hashSize {
		return line{}, false
	}
	l.seq, l.prev = seq, string(rest[:hashSize])
	if rest, ok = bytes.CutPrefix(rest[hashSize:], []byte(beforeEvent)); !ok {
		return line{}, false
	}
	event, _, ok := bytes.Cut(rest, []byte{'"'})
	l.event = string(event)
	return l, ok && isHex(l.hash, hashSize) && isHex(l.prev, hashSize)
}

// mark is what a log says about itself, in a line of the events EventAuditOpened (a process
// began to write, or a file was begun) and EventAuditResumed (after a failure).
type mark struct {
	Log      string `json:"txn_token.audit.log"`
	Hash     string `json:"txn_token.audit.hash"`
	Key      string `json:"txn_token.audit.key"`
	Lost     uint64 `json:"txn_token.audit.lost"`
	Torn     int64  `json:"txn_token.audit.torn.bytes"`
	TornHash string `json:"txn_token.audit.torn.hash"`
}

// mark returns what l says about its log; false for the record of a decision.
func (l *line) mark() (m mark, ok bool) {
	if l.event != semconv.EventAuditOpened && l.event != semconv.EventAuditResumed {
		return mark{}, false
	}
	err := json.Unmarshal(append(bytes.Clone(l.text), '}'), &m)
	return m, err == nil && isHex(m.Log, idSize)
}
