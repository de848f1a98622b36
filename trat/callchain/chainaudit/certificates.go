package chainaudit

import (
	"os"
	"sync"
)

// certificates keeps those of all logs on disk, and in memory where each is.
type certificates struct {
	mu     sync.RWMutex
	file   *os.File
	end    int64
	places map[[32]byte]place
}

type place struct {
	at   int64
	size int32
}

// add keeps a certificate, whose hash was compared.
func (c *certificates) add(hash [32]byte, der []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.places[hash]; known {
		return nil
	}
	if _, err := c.file.WriteAt(der, c.end); err != nil {
		return err
	}
	c.places[hash] = place{at: c.end, size: int32(len(der))} //nolint:gosec // at most 64 KiB
	c.end += int64(len(der))
	return nil
}

// get returns a certificate; false when no log has it.
func (c *certificates) get(hash [32]byte) ([]byte, bool) {
	c.mu.RLock()
	p, ok := c.places[hash]
	c.mu.RUnlock()
	if !ok {
		return nil, false
	}
	der := make([]byte, p.size)
	_, err := c.file.ReadAt(der, p.at)
	return der, err == nil
}
