package replay

// minSlots is the size of an index with few keys.
const minSlots = 16

// index finds entries by key. It is a hash table with open addressing and linear probing,
// at most three quarters full. Its tags are bits of keyIDs, which are as good as random.
type index struct {
	slots []slot // a power of two of them
	used  int
}

// slot is a place of the table. The tag decides for nearly all keys whether the entry is
// theirs, and where a slot belongs, without a look at the entry.
type slot struct {
	tag    uint32
	number uint32 // of the entry; 0 when the slot is empty
}

func (x *index) init() { x.slots = make([]slot, minSlots) }

// home is where a tag belongs; following says where it may be otherwise.
func (x *index) home(tag uint32) uint32 { return tag & x.mask() }

func (x *index) following(i uint32) uint32 { return (i + 1) & x.mask() }

func (x *index) mask() uint32 {
	return uint32(len(x.slots) - 1) //nolint:gosec // there are less than twice as many slots as entries have numbers
}

func (x *index) add(s slot) {
	if 4*(x.used+1) > 3*len(x.slots) {
		old := x.slots
		x.slots = make([]slot, 2*len(old))
		for _, s := range old {
			if s.number != 0 {
				x.put(s)
			}
		}
	}
	x.used++
	x.put(s)
}

func (x *index) put(s slot) {
	i := x.home(s.tag)
	for x.slots[i].number != 0 {
		i = x.following(i)
	}
	x.slots[i] = s
}

// remove empties the slot of an entry, which is there. Those behind it move up, so that
// what is looked for is always between its home and the next empty slot.
func (x *index) remove(s slot) {
	hole := x.home(s.tag)
	for x.slots[hole] != s {
		hole = x.following(hole)
	}
	for i := x.following(hole); x.slots[i].number != 0; i = x.following(i) {
		if (i-x.home(x.slots[i].tag))&x.mask() >= (i-hole)&x.mask() {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = slot{}
	x.used--
}
