package hashchain

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	idSize   = 32 // of a log id, hexadecimal digits
	hashSize = 64 // of a hash, hexadecimal digits
)

// noHash is the "prev" of the first line of a log.
var noHash = strings.Repeat("0", hashSize)

// Head is a point that a log has reached: its last line then. Whoever has kept one outside
// the reach of an attacker can tell later that nothing up to it was changed or removed.
type Head struct {
	// Log is the id of the log, 32 hexadecimal digits.
	Log string
	// Sequence is the number of the line, from 1.
	Sequence uint64
	// Hash is the line's own, 64 hexadecimal digits.
	Hash string
}

// String returns h as one word, id:sequence:hash.
func (h Head) String() string {
	return h.Log + ":" + strconv.FormatUint(h.Sequence, 10) + ":" + h.Hash
}

// ParseHead reads what String has returned.
func ParseHead(text string) (Head, error) {
	log, rest, _ := strings.Cut(text, ":")
	number, hash, _ := strings.Cut(rest, ":")
	sequence, err := strconv.ParseUint(number, 10, 64)
	h := Head{Log: log, Sequence: sequence, Hash: hash}
	if err == nil {
		err = h.check()
	}
	if err != nil || h.String() != text {
		return Head{}, errors.New("hashchain: a head is written id:sequence:hash, as in the log of checkpoints")
	}
	return h, nil
}

func (h Head) check() error {
	if !isHex(h.Log, idSize) || !isHex(h.Hash, hashSize) || h.Sequence == 0 {
		return fmt.Errorf("hashchain: head %d is incomplete", h.Sequence)
	}
	return nil
}

// isHex says whether s is that many lower-case hexadecimal digits.
func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits && strings.ToLower(s) == s
}
