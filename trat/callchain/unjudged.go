package callchain

import (
	"slices"
	"sync"
)

// unjudged is what it takes to judge the links before the last one, when they came with a
// call whose mode does not ask for them. They are judged when they are to be passed on, and
// not before: whoever sent them could have made them up, and the next callee holds the
// workload to account that it has them from.
type unjudged struct {
	verifier     *Verifier
	holding      holding // as of when the chain arrived
	certificates conveyed

	once  sync.Once
	whole *Chain
}

// whole returns c with all links back to the root, verified: nil if they are not known, or
// not true. What it costs it costs once.
func (c *Chain) whole() *Chain {
	switch {
	case c.Complete():
		return c
	case c == nil || c.unjudged == nil:
		return nil
	}
	u := c.unjudged
	u.once.Do(func() {
		// What is written down of a link that was judged is not for c.
		all := &Chain{signed: slices.Clone(c.signed), verified: len(c.signed)}
		for i := range all.signed {
			l := *all.signed[i].link
			all.signed[i].link = &l
		}
		if all, err := u.verifier.judge(all, &u.holding, &u.certificates, c.verified); err == nil {
			u.whole = all
		}
	})
	return u.whole
}

// sentIntermediates are c's, and those that may be of use for links that were not judged.
func (c *Chain) sentIntermediates() [][]byte {
	if c.unjudged == nil {
		return c.intermediates
	}
	return slices.Concat(c.unjudged.certificates.intermediates, c.intermediates)
}

// Proof returns a Receipt of links that verify: all of them, or, where those that came with
// the call before the last one are not known or not true, the last one alone. It is what to
// show to somebody who holds this workload to it. It is "" for a nil Chain.
func (c *Chain) Proof() string {
	if c.Len() == 0 {
		return ""
	}
	if whole := c.whole(); whole != nil {
		return whole.Receipt()
	}
	return encodeReceipt(c.signed[len(c.signed)-c.verified:], c.intermediates)
}
