// Package replay remembers what was accepted, so that it is accepted once.
//
// A Store marks keys: the first Mark of a key is fresh, every later one until the
// key's expiry is not. Callers mark only what they have fully verified, and choose
// keys that cannot collide across kinds, such as a hash of kind, issuer and jti.
// Each key is on the account of an owner, whoever caused it to be marked, so that
// one owner cannot use a store up for all others.
//
// Memory is the store of one process; package redisreplay has one that replicas share. Another
// implementation of the interface proves itself with package replaytest.
package replay

import (
	"context"
	"errors"
	"time"
)

// MaxKeySize is the largest key a Store takes, in bytes. Hash what may be longer.
const MaxKeySize = 128

// Errors of a Store. A caller that gets any error must refuse what it wanted to
// mark: whether that was seen before is unknown.
var (
	// ErrFull: the store holds as many live keys as it may. It never forgets a
	// live key to make room.
	ErrFull = errors.New("replay: store is full of live keys")
	// ErrShare: the owner holds as many live keys as it may while others need room.
	ErrShare = errors.New("replay: owner has used up its share of the store")
	// ErrExpired: the key's expiry has passed, so the store would not remember it.
	ErrExpired = errors.New("replay: expiry has passed")
	// ErrKey: the key is empty or longer than MaxKeySize.
	ErrKey = errors.New("replay: bad key size")
)

// Store remembers keys until they expire. Implementations are safe for concurrent
// use: of any number of concurrent Marks of one key exactly one is fresh.
type Store interface {
	// Mark records key until expiry and reports whether it was new. The owner, such
	// as the SPIFFE ID of the workload that presented what is marked, only pays for
	// the room: a key that is recorded is not new to any owner. The expiry of a key
	// that is already recorded does not change. After an error, fresh is false and
	// the caller refuses.
	Mark(ctx context.Context, owner, key string, expiry time.Time) (fresh bool, err error)
}
