package callchain

import (
	"errors"
	"slices"
	"sync"

	"github.com/grpc-trat/grpc-trat/trat"
)

// unjudged is what it takes to judge the links before the last one, when they came with a
// call whose mode does not ask for them. They are judged when they are to be passed on, and
// not before: whoever sent them could have made them up, and the next callee holds the
// workload to account that it has them from.
type unjudged struct {
	verifier     *Verifier
	holding      holding // as of when the chain arrived
	certificates conveyed

	mu     sync.Mutex
	judged bool
	whole  *Chain // nil if it is not true
}

// whole returns c with all links back to the root, verified: nil if they are not known, or
// not true. What it costs it costs once, and again only as long as there is no bundle.
func (c *Chain) whole() *Chain {
	switch {
	case c.Complete():
		return c
	case c == nil || c.unjudged == nil:
		return nil
	}
	u := c.unjudged
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.judged {
		return u.whole
	}
	// What is written down of a link that was judged is not for c.
	all := &Chain{signed: slices.Clone(c.signed), verified: len(c.signed)}
	for i := range all.signed {
		l := *all.signed[i].link
		all.signed[i].link = &l
	}
	all, err := u.verifier.judge(all, &u.holding, &u.certificates, c.verified)
	u.whole = all
	u.judged = err == nil || errors.Is(err, trat.ReasonChainLinkInvalid) || errors.Is(err, trat.ReasonChainRootMismatch)
	return u.whole
}

// sentIntermediates are c's, and those that may be of use for links that were not judged.
func (c *Chain) sentIntermediates() [][]byte {
	if c.unjudged == nil {
		return c.intermediates
	}
	return slices.Concat(c.unjudged.certificates.intermediates, c.intermediates)
}

// Proof returns a Receipt of as many links as verify: of all back to the root, also where the
// mode of the call did not ask for them and only now they are looked at, else of the verified
// ones. It is "" for a nil Chain.
func (c *Chain) Proof() string {
	if whole := c.whole(); whole != nil {
		return whole.Receipt()
	}
	return c.Receipt()
}
