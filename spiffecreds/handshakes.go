package spiffecreds

import (
	"container/list"
	"errors"
	"net"
	"sync"
)

// errDisplaced is why a handshake ended that others needed the room of.
var errDisplaced = errors.New("spiffecreds: too many handshakes under way, and this one was the oldest")

// handshakes bounds those of a server that are under way: strangers make them, before
// anybody knows who they are, and each holds a file descriptor of the whole process.
type handshakes struct {
	limit int

	mu      sync.Mutex
	pending *list.List // of *handshake, the oldest first
}

// handshake is one that is under way, or was until it made room.
type handshake struct {
	raw       net.Conn
	displaced bool
}

func newHandshakes(limit int) *handshakes {
	return &handshakes{limit: limit, pending: list.New()}
}

// begin counts a handshake over raw, and closes the connection of the oldest one if there
// are as many as may be: an honest one takes milliseconds, so that it is hardly ever the
// oldest, and a flood of slow ones displaces itself. Call end when the handshake is over.
// It reports false for one that had to make room meanwhile.
func (h *handshakes) begin(raw net.Conn) (end func() bool) {
	own := &handshake{raw: raw}
	h.mu.Lock()
	var oldest *handshake
	if h.pending.Len() >= h.limit {
		oldest, _ = h.pending.Remove(h.pending.Front()).(*handshake)
		oldest.displaced = true
	}
	entry := h.pending.PushBack(own)
	h.mu.Unlock()
	if oldest != nil {
		_ = oldest.raw.Close() // its handshake fails of it, and says why
	}
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.pending.Remove(entry) // if it is still there
		return !own.displaced
	}
}
