package trattest

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// ChainContext returns a context as a handler of method at the workload callee gets it
// behind a guard: with a verified TraT and the verified call chain through the workloads
// with the given paths, see ID. Each has called the next one, and the last one callee; all
// links name the same method. The first one requested the TraT, unless Requester says
// otherwise, which no guard would accept.
//
// A carrier of callee goes on from it. For the calls of a workload that begins a
// transaction Context is enough.
func (d *Domain) ChainContext(
	ctx context.Context, through []string, callee, method string, opts ...TokenOption,
) context.Context {
	d.tb.Helper()
	var requester []TokenOption
	if len(through) > 0 {
		requester = []TokenOption{Requester(d.ID(through[0]).String())}
	}
	token := d.Token(append(requester, opts...)...)
	return callchain.NewContext(trat.NewContext(ctx, token), d.Chain(token, through, callee, method))
}

// Chain returns the verified call chain of token through the workloads with the given paths
// to callee, see ChainContext. The first one must have requested token.
func (d *Domain) Chain(token *trat.Token, through []string, callee, method string) *callchain.Chain {
	d.tb.Helper()
	c, _ := d.chain(token, through, callee, method)
	return c
}

// RawChain returns that chain as the last of the workloads sends it to callee: the value of
// callchain.MetadataKey that goes with token.UnsafeRaw.
func (d *Domain) RawChain(token *trat.Token, through []string, callee, method string) string {
	d.tb.Helper()
	_, encoded := d.chain(token, through, callee, method)
	return encoded
}

func (d *Domain) chain(
	token *trat.Token, through []string, callee, method string,
) (c *callchain.Chain, encoded string) {
	d.tb.Helper()
	if len(through) == 0 {
		d.tb.Fatalf("trattest: a chain goes through one workload at least")
	}
	for i, from := range through {
		to := callee
		if i+1 < len(through) {
			to = through[i+1]
		}
		draft := callchain.Draft{Audience: d.ID(to), Method: method, Token: token, Parent: c}
		encoded = d.encoded(from, draft, d.Now)
		c = d.accepted(from, draft, encoded)
	}
	return c, encoded
}

// encoded signs a link in the name of the workload with the given path, by the given clock.
func (d *Domain) encoded(path string, draft callchain.Draft, clock trat.Clock) string {
	d.tb.Helper()
	return d.encodedBy(d.Source(path), path, draft, callchain.ModePath, clock)
}

// encodedBy signs a link with what source has, and sends it in the name of the workload with
// the given path.
func (d *Domain) encodedBy(
	source x509svid.Source, path string, draft callchain.Draft, mode callchain.Mode, clock trat.Clock,
) string {
	d.tb.Helper()
	signer, err := callchain.NewSigner(source, callchain.WithClock(clock))
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	// Its own signer does not let the link wait.
	signed, err := signer.SignLink(context.Background(), draft)
	if err != nil {
		d.tb.Fatalf("trattest: the link of %s is not signed: %v", path, err)
	}
	encoded, err := signed.Encode(mode, d.SVID(path).Certificates[0])
	if err != nil {
		d.tb.Fatalf("trattest: the chain of %s is not sent: %v", path, err)
	}
	return encoded
}

// accepted verifies what the workload with the given path has sent, as its callee does.
func (d *Domain) accepted(path string, draft callchain.Draft, encoded string) *callchain.Chain {
	d.tb.Helper()
	svid := d.SVID(path)
	c, err := d.chains.Verify(callchain.Received{
		Encoded:  encoded,
		Audience: draft.Audience,
		Method:   draft.Method,
		Token:    draft.Token,
		Peer:     callchain.Peer{ID: svid.ID, Leaf: svid.Certificates[0], Intermediates: svid.Certificates[1:]},
		Mode:     callchain.ModePath,
	})
	if err != nil {
		d.tb.Fatalf("trattest: the chain of %s does not verify: %v", path, err)
	}
	return c
}
