package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"
)

// pseudonymKeySize is that of Config.PseudonymKey, in bytes.
const pseudonymKeySize = 32

// pseudonymizer replaces personal values by a keyed hash, which is the same within one
// period, and cannot be tested against a list of names without the key. Safe for
// concurrent use.
type pseudonymizer struct {
	key     []byte
	id      string // names key
	seconds int64  // of a period
	current atomic.Pointer[pseudonyms]
}

// pseudonyms are those of one period.
type pseudonyms struct {
	period   int64
	subjects []byte // the key of those in the audit log
	members  []byte // the key of those in tokens
	name     string // of the period and its key: Record.SubjectPseudonymKey
}

// newPseudonymizer takes a random key for a nil one.
func newPseudonymizer(key []byte, period time.Duration) *pseudonymizer {
	if key == nil {
		key = make([]byte, pseudonymKeySize)
		_, _ = rand.Read(key) // never fails: it ends the process instead
	}
	return &pseudonymizer{
		key:     key,
		id:      hex.EncodeToString(keyedHash(key, []byte("grpc-trat pseudonym key id"))[:4]),
		seconds: int64(period / time.Second),
	}
}

// at returns the pseudonyms of now. Each period has keys of its own, so that what was
// said in one cannot be looked up in another.
func (p *pseudonymizer) at(now time.Time) *pseudonyms {
	period := now.Unix() / p.seconds
	if current := p.current.Load(); current != nil && current.period == period {
		return current
	}
	label := binary.BigEndian.AppendUint64([]byte("grpc-trat pseudonym period"), uint64(p.seconds)) //nolint:gosec // positive
	label = binary.BigEndian.AppendUint64(label, uint64(period))                                    //nolint:gosec // any bits will do
	key := keyedHash(p.key, label)
	next := &pseudonyms{
		period:   period,
		subjects: keyedHash(key, []byte("subjects")),
		members:  keyedHash(key, []byte("members")),
		name:     p.id + "." + time.Unix(period*p.seconds, 0).UTC().Format("20060102T150405Z"),
	}
	p.current.Store(next)
	return next
}

// ofSubject returns what stands for a subject in the audit log.
func (p *pseudonyms) ofSubject(subject string) string { return pseudonym(p.subjects, subject) }

// ofMember returns what stands for a value in a token. That is never what stands for it
// in the audit log: where policy lets the requester choose the value, it could find out
// there who is who.
func (p *pseudonyms) ofMember(value string) string { return pseudonym(p.members, value) }

// pseudonym returns 128 bits of HMAC-SHA256 in base64url, and "" for no value.
func pseudonym(key []byte, value string) string {
	if value == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(keyedHash(key, []byte(value))[:16])
}

func keyedHash(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}
