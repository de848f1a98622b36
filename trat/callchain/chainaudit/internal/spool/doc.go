// Package spool sorts what was read on disk: frames of bytes, each put to the others that have
// the same key, so that a part of the inputs at a time can be taken into memory.
package spool
