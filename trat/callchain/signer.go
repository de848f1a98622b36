package callchain

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"golang.org/x/time/rate"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// signaturesPerCore is the default budget, per second.
	signaturesPerCore = 500
	// maxSignatureRate is more than any machine can do.
	maxSignatureRate = 1e6
	// burst is for how long an unused budget is saved.
	burst = 10 * time.Millisecond
)

// Signer is the LinkSigner of an X.509-SVID's key. It has a budget of signatures per
// second. Within it every link is signed at once, alone. Beyond it the links of concurrent
// callers wait and share signatures, so that signing does not take a larger part of the
// machine the more calls there are. Use one Signer for the whole process, or each has a
// budget of its own.
//
// A Signer is safe for concurrent use. It has no goroutine of its own and needs no closing.
type Signer struct {
	svids         x509svid.Source
	clock         trat.Clock
	lifetime      time.Duration
	signatureRate float64
	maxGroup      int
	leaf          atomic.Pointer[ownLeaf] // the one judged last
	queue         *queue
}

// NewSigner returns a Signer in the name of the workload whose X.509-SVID svids returns.
// It needs an ECDSA P-256 key: if svids has an answer already, it is checked now, and in
// any case at each signature. NewSigner reports every problem at once; each is an
// *trat.Error with PARAMETER_INVALID whose Field is the name of the parameter or option.
func NewSigner(svids x509svid.Source, opts ...SignerOption) (*Signer, error) {
	s := &Signer{
		svids:         svids,
		clock:         time.Now,
		lifetime:      DefaultLifetime,
		signatureRate: signaturesPerCore * float64(runtime.GOMAXPROCS(0)),
		maxGroup:      maxGroup,
	}
	errs := []error{checkConfig("svids", svids == nil, errAbsent)}
	for _, o := range opts {
		if o == nil {
			errs = append(errs, checkConfig("opts", true, errAbsent))
			continue
		}
		errs = append(errs, o.applySigner(s))
	}
	if svids != nil {
		if svid, err := svids.GetX509SVID(); err == nil {
			_, err = newCredential(svid, nil)
			errs = append(errs, checkConfig("svids", err != nil, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.queue = &queue{
		budget: rate.NewLimiter(rate.Limit(s.signatureRate), max(1, int(s.signatureRate*burst.Seconds()))),
		clock:  time.Now, // the clock of links may stand still, as that of a test
		size:   s.maxGroup,
		sign:   s.sign,
	}
	return s, nil
}

// SignLink implements LinkSigner. Errors:
//
//   - DEPENDENCY_UNAVAILABLE: there is no X.509-SVID now, or ctx was done first
//   - RATE_LIMITED: too many links wait already
//   - CHAIN_TOO_DEEP: more than MaxDepth links before this one
//   - CHAIN_LINK_INVALID: the parent is not of this TraT, or came to another workload
//   - EGRESS_BLOCKED: the audience, or this workload, is not in the TraT's trust domain
//   - INTERNAL: a Draft that is incomplete, an X.509-SVID that cannot sign
func (s *Signer) SignLink(ctx context.Context, d Draft) (*Signed, error) {
	l, err := d.link()
	if err != nil {
		return nil, err
	}
	_, _ = rand.Read(l.id[:]) // does not fail
	p := &pending{link: l, parent: d.Parent, expires: d.Token.Expiry()}
	if err := s.queue.do(ctx, p); err != nil {
		return nil, err
	}
	return p.signed(), nil
}

// signed returns the link with what proves it, once it has its seal.
func (p *pending) signed() *Signed {
	return &Signed{
		parent: p.parent,
		group:  p.seal.tree.leaves,
		own: signedLink{
			link: p.link, leaf: p.link.leaf.Raw,
			path: p.seal.tree.path(p.index), signature: p.seal.signature,
		},
		intermediates: p.seal.intermediates,
	}
}

// seal is what the links of a group share.
type seal struct {
	tree          *tree
	signature     [signatureSize]byte
	intermediates [][]byte
}

// sign gives every link the same seal, or an error. Key, leaf and time are those of now,
// whenever the links were made.
func (s *Signer) sign(links []*pending) {
	common, err := s.signGroup(links)
	for _, p := range links {
		if p.err == nil {
			p.seal, p.err = common, err
		}
	}
}

func (s *Signer) signGroup(links []*pending) (*seal, error) {
	who, err := s.credential()
	if err != nil {
		return nil, err
	}
	now := s.clock()
	// The authority's clock may be ahead: a link older than its leaf would be refused.
	if begin := who.cert.NotBefore; begin.After(now) && begin.Sub(now) <= trat.DefaultLeeway {
		now = begin
	}
	nodes := make([][32]byte, 0, len(links))
	for _, p := range links {
		if p.err = p.complete(who, now, s.lifetime); p.err == nil {
			p.index = len(nodes)
			nodes = append(nodes, leafNode(p.link.hash))
		}
	}
	if len(nodes) == 0 {
		return nil, nil
	}
	common := &seal{tree: newTree(nodes), intermediates: who.intermediates()}
	if common.signature, err = who.sign(common.tree.root); err != nil {
		return nil, &trat.Error{Reason: trat.ReasonInternal, Field: FieldSignature, Err: err}
	}
	return common, nil
}

// credential returns the present key with its certificates.
func (s *Signer) credential() (credential, error) {
	svid, err := s.svids.GetX509SVID()
	if err != nil {
		return credential{}, &trat.Error{Reason: trat.ReasonDependencyUnavailable, Field: FieldSVID, Err: err}
	}
	known := s.leaf.Load()
	who, err := newCredential(svid, known)
	if err != nil {
		return credential{}, &trat.Error{Reason: trat.ReasonInternal, Field: FieldSVID, Err: err}
	}
	if who.ownLeaf != known {
		s.leaf.Store(who.ownLeaf)
	}
	return who, nil
}
