package trattest

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// ChainFlaw is one way in which a call chain can be bad, in a word.
type ChainFlaw string

// Chains that no guard may accept.
const (
	// ChainEmpty is the empty string: no chain.
	ChainEmpty ChainFlaw = "empty"
	// ChainGarbage is text that is no chain.
	ChainGarbage ChainFlaw = "garbage"
	// ChainOversize is longer than callchain.MaxEncodedSize.
	ChainOversize ChainFlaw = "oversize"
	// ChainTruncated lacks its end.
	ChainTruncated ChainFlaw = "truncated"
	// ChainAltered has a last link whose signature was altered.
	ChainAltered ChainFlaw = "altered"
	// ChainOtherCallee is for another callee: the peer relays what it was not sent.
	ChainOtherCallee ChainFlaw = "other callee"
	// ChainOtherMethod is for another method of the callee.
	ChainOtherMethod ChainFlaw = "other method"
	// ChainOtherToken goes with another TraT.
	ChainOtherToken ChainFlaw = "other token"
	// ChainStolen was signed by another workload than sends it, for this very call.
	ChainStolen ChainFlaw = "stolen"
	// ChainOwnRoot begins with the workload that sends it, which did not request the TraT.
	ChainOwnRoot ChainFlaw = "own root"
	// ChainShortened has lost the links before the last one.
	ChainShortened ChainFlaw = "shortened"
	// ChainSpliced has links of another transaction before the last one.
	ChainSpliced ChainFlaw = "spliced"
	// ChainExpired has a last link past exp and any leeway.
	ChainExpired ChainFlaw = "expired"
	// ChainFuture has a last link with an iat in the future, beyond any leeway.
	ChainFuture ChainFlaw = "future"
	// ChainTooDeep has one link more than callchain.MaxLinks, and is sound apart from that.
	ChainTooDeep ChainFlaw = "too deep"
	// ChainAlteredAncestor has an altered signature of the link before the last one.
	ChainAlteredAncestor ChainFlaw = "altered ancestor"
	// ChainNoCertificate lacks the certificates of all links but the last one.
	ChainNoCertificate ChainFlaw = "no certificate"
	// ChainExpiredCertificate has a last link under a certificate that has expired.
	ChainExpiredCertificate ChainFlaw = "expired certificate"
	// ChainForeignCertificate has a last link under a certificate of another authority, which
	// says that it is of the same trust domain.
	ChainForeignCertificate ChainFlaw = "foreign certificate"
)

// lastLinkSize is the length of a last link without trace, leaf and path, in bytes: as
// chains here end (docs/call-chain-format.md).
const lastLinkSize = 1 + 8 + 6 + 1 + 16 + 2 + 64

// chainRequest is a chain to be made, by its last workload.
type chainRequest struct {
	*Domain
	token          *trat.Token
	through        []string
	callee, method string
}

// good returns the chain without a flaw.
func (r *chainRequest) good() string {
	r.tb.Helper()
	return r.RawChain(r.token, r.through, r.callee, r.method)
}

// bytes returns good, decoded.
func (r *chainRequest) bytes() []byte {
	r.tb.Helper()
	return r.decoded(r.good())
}

func (r *chainRequest) decoded(encoded string) []byte {
	r.tb.Helper()
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		r.tb.Fatalf("trattest: %v", err)
	}
	return b
}

// draft is the last link.
func (r *chainRequest) draft() (path string, _ callchain.Draft) {
	r.tb.Helper()
	last := len(r.through) - 1
	return r.through[last], callchain.Draft{
		Audience: r.ID(r.callee), Method: r.method, Token: r.token,
		Parent: r.Chain(r.token, r.through[:last], r.through[last], r.method),
	}
}

// at has all links but the last one signed now, and the last one by a clock that is off.
func (r *chainRequest) at(off time.Duration) string {
	r.tb.Helper()
	path, draft := r.draft()
	return r.encoded(path, draft, func() time.Time { return r.Now().Add(off) })
}

// under has the last link signed under another certificate than the connection's.
func (r *chainRequest) under(authority *devauthority.Authority, flaws ...devauthority.Flaw) string {
	r.tb.Helper()
	path, draft := r.draft()
	svid, err := authority.X509SVID(r.ID(path), flaws...)
	if err != nil {
		r.tb.Fatalf("trattest: %v", err)
	}
	return r.encodedBy(svid, path, draft, callchain.ModePath, r.Now)
}

// tooDeep puts together what no Signer would: the links before the last one from their
// receipt, and behind them the last one as it is sent in head form.
func (r *chainRequest) tooDeep() string {
	r.tb.Helper()
	const (
		pathForm     = 0x12
		beforeParent = 1 + 8 + 6 + 1 + 16
		parentSize   = 1 + 32
	)
	long := *r
	for len(long.through) <= callchain.MaxLinks { // a workload may call itself
		long.through = slices.Insert(slices.Clone(long.through), 0, long.through[0])
	}
	path, draft := long.draft()
	b := r.decoded(draft.Parent.Receipt())
	b[0] = pathForm
	head := r.decoded(r.encodedBy(r.Source(path), path, draft, callchain.ModeHead, r.Now))
	last := head[len(head)-lastLinkSize-parentSize:]
	return encode(string(slices.Concat(b, last[:beforeParent], last[beforeParent+parentSize:])))
}

// withoutCertificates leaves out those of the links before the last one.
func (r *chainRequest) withoutCertificates() string {
	r.tb.Helper()
	const header = 2 // form, number of certificates
	b := r.bytes()
	rest := b[header:]
	for range b[1] {
		rest = rest[2+int(binary.BigEndian.Uint16(rest)):]
	}
	return encode(string(slices.Concat([]byte{b[0], 0}, rest)))
}

type flawedChain struct {
	flaw   ChainFlaw
	reason trat.Reason
	make   func(r *chainRequest) string
}

// flawedChains has every ChainFlaw once.
var flawedChains = []flawedChain{
	{ChainEmpty, trat.ReasonChainMissing, func(*chainRequest) string { return "" }},
	{ChainGarbage, trat.ReasonChainLinkInvalid, func(*chainRequest) string { return "no-chain-at-all" }},
	{ChainOversize, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.good() + strings.Repeat("A", callchain.MaxEncodedSize)
	}},
	{ChainTruncated, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		b := r.bytes()
		return encode(string(b[:len(b)-1]))
	}},
	{ChainAltered, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		b := r.bytes()
		b[len(b)-1] ^= 1
		return encode(string(b))
	}},
	{ChainOtherCallee, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.RawChain(r.token, r.through, r.callee+"-2", r.method)
	}},
	{ChainOtherMethod, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.RawChain(r.token, r.through, r.callee, r.method+"2")
	}},
	{ChainOtherToken, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.RawChain(r.Token(Requester(r.token.RequestingWorkload())), r.through, r.callee, r.method)
	}},
	{ChainStolen, trat.ReasonChainPeerMismatch, func(r *chainRequest) string {
		last := len(r.through) - 1
		victim := slices.Concat(r.through[:last], []string{r.through[last] + "-2"})
		return r.RawChain(r.token, victim, r.callee, r.method)
	}},
	{ChainOwnRoot, trat.ReasonChainRootMismatch, func(r *chainRequest) string {
		draft := callchain.Draft{Audience: r.ID(r.callee), Method: r.method, Token: r.token}
		return r.encoded(r.through[len(r.through)-1], draft, r.Now)
	}},
	{ChainShortened, trat.ReasonChainRootMismatch, func(r *chainRequest) string {
		const pathForm, noCertificates, noLinks, parentFlag = 0x12, 0, 0, 1
		b := r.bytes()
		last := b[len(b)-lastLinkSize:]
		last[0] &^= parentFlag
		return encode(string(append([]byte{pathForm, noCertificates, noLinks}, last...)))
	}},
	{ChainSpliced, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		other := *r
		other.token = r.Token(Requester(r.token.RequestingWorkload()))
		own, foreign := r.bytes(), other.bytes()
		return encode(string(foreign[:len(foreign)-lastLinkSize]) + string(own[len(own)-lastLinkSize:]))
	}},
	{ChainExpired, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.at(-callchain.MaxLifetime - trat.MaxLeeway)
	}},
	{ChainFuture, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.at(trat.MaxLeeway + time.Second)
	}},
	{ChainTooDeep, trat.ReasonChainTooDeep, (*chainRequest).tooDeep},
	{ChainAlteredAncestor, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		b := r.bytes()
		b[len(b)-lastLinkSize-1] ^= 1
		return encode(string(b))
	}},
	{ChainNoCertificate, trat.ReasonChainLinkInvalid, (*chainRequest).withoutCertificates},
	{ChainExpiredCertificate, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.under(r.authority, devauthority.Valid(r.Now().Add(-time.Hour), r.Now().Add(-time.Second)))
	}},
	{ChainForeignCertificate, trat.ReasonChainLinkInvalid, func(r *chainRequest) string {
		return r.under(newAuthority(r.tb, r.name))
	}},
}

// ChainFlaws returns every ChainFlaw.
func ChainFlaws() []ChainFlaw {
	flaws := make([]ChainFlaw, len(flawedChains))
	for i, f := range flawedChains {
		flaws[i] = f.flaw
	}
	return flaws
}

// Reason is what a guard of the Domain must answer for a chain with this flaw, whose method
// requires it in callchain.ModePath; "" for a word that is no ChainFlaw.
func (f ChainFlaw) Reason() trat.Reason {
	i := slices.IndexFunc(flawedChains, func(x flawedChain) bool { return x.flaw == f })
	if i < 0 {
		return ""
	}
	return flawedChains[i].reason
}

// BrokenChain returns a chain like that of RawChain with one flaw. It must go through two
// workloads at least. The last of them is who sends it, by its own connection: that is what
// the reason is for.
func (d *Domain) BrokenChain(f ChainFlaw, token *trat.Token, through []string, callee, method string) string {
	d.tb.Helper()
	i := slices.IndexFunc(flawedChains, func(x flawedChain) bool { return x.flaw == f })
	if i < 0 {
		d.tb.Fatalf("trattest: no flaw %q of chains", string(f))
	}
	if len(through) < 2 {
		d.tb.Fatalf("trattest: a broken chain goes through two workloads at least")
	}
	return flawedChains[i].make(&chainRequest{Domain: d, token: token, through: through, callee: callee, method: method})
}
