package replay

// accounts counts the keys of owners. An account is named by a number, which is used again
// when its owner has no keys left.
type accounts struct {
	numbers map[string]uint32 // by owner; none is without keys
	all     []account
	unused  []uint32
}

type account struct {
	owner string
	keys  int
}

func (a *accounts) init() { a.numbers = make(map[string]uint32) }

// charge counts one key more for owner, who may have that many at most, and returns the
// number of the account. It reports false when that would be too many.
func (a *accounts) charge(owner string, most int) (n uint32, ok bool) {
	n, found := a.numbers[owner]
	switch {
	case found && a.all[n].keys >= most, most < 1:
		return 0, false
	case !found:
		n = a.open(owner)
	}
	a.all[n].keys++
	return n, true
}

func (a *accounts) open(owner string) uint32 {
	var n uint32
	if last := len(a.unused) - 1; last >= 0 {
		n, a.unused = a.unused[last], a.unused[:last]
	} else {
		n = uint32(len(a.all)) //nolint:gosec // there are no more accounts than keys
		a.all = append(a.all, account{})
	}
	a.all[n].owner = owner
	a.numbers[owner] = n
	return n
}

// credit counts one key less on an account.
func (a *accounts) credit(n uint32) {
	c := &a.all[n]
	if c.keys--; c.keys > 0 {
		return
	}
	delete(a.numbers, c.owner)
	c.owner = "" // let its memory go
	a.unused = append(a.unused, n)
}
