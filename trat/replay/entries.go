package replay

// blockSize is how many entries are allocated at once.
const blockSize = 256

// entry is a key that is held. Its number is where it is in entries; no entry has number 0.
type entry struct {
	id      keyID
	expiry  int64  // see nanoseconds
	next    uint32 // number of another one that expires in the same second, or that is unused
	account uint32
}

// entries are in blocks that stay where they are: growing copies nothing. They hold no
// pointers, so that the garbage collector has nothing to follow in them.
type entries struct {
	blocks []*[blockSize]entry
	unused uint32 // number of the first of those that were given back
	last   uint32 // the largest number in use so far
}

func (e *entries) at(n uint32) *entry { return &e.blocks[n/blockSize][n%blockSize] }

// take returns an entry that nobody uses, and its number.
func (e *entries) take() (uint32, *entry) {
	if n := e.unused; n != 0 {
		e.unused = e.at(n).next
		return n, e.at(n)
	}
	e.last++
	if int(e.last/blockSize) >= len(e.blocks) {
		e.blocks = append(e.blocks, new([blockSize]entry))
	}
	return e.last, e.at(e.last)
}

func (e *entries) giveBack(n uint32) {
	e.at(n).next = e.unused
	e.unused = n
}
