package interceptors_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// linking is call credentials for tests that send tokens by hand: a good token gets a root
// link, signed by the workload that calls. A bad one gets none, for nothing is to depend
// on it, nor does a call that has a chain already.
type linking struct {
	domain *trattest.Domain
	signer callchain.LinkSigner
}

func linkingAs(tb testing.TB, d *trattest.Domain, path string) linking {
	tb.Helper()
	return linking{d, signerOf(tb, d, path)}
}

// signerOf returns a signer of the workload with the given path.
func signerOf(tb testing.TB, d *trattest.Domain, path string) *callchain.Signer {
	tb.Helper()
	signer, err := callchain.NewSigner(d.Source(path), callchain.WithClock(d.Now))
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

func (linking) RequireTransportSecurity() bool { return true }

func (l linking) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	raw := md.Get("txn-token")
	if len(raw) != 1 || len(md.Get("txn-chain")) > 0 {
		return nil, nil
	}
	token, err := l.domain.Verifier().Verify(raw[0])
	if err != nil {
		return nil, nil //nolint:nilerr // not for this test to say
	}
	info, _ := credentials.RequestInfoFromContext(ctx)
	server, ok := spiffecreds.PeerFromAuthInfo(info.AuthInfo)
	if !ok {
		return nil, nil
	}
	signed, err := l.signer.SignLink(ctx, callchain.Draft{Audience: server.ID, Method: info.Method, Token: token})
	if err != nil {
		return nil, nil //nolint:nilerr // no method that there could be
	}
	own, _ := spiffecreds.OwnLeafFromAuthInfo(info.AuthInfo)
	encoded, err := signed.Encode(callchain.ModePath, own)
	if err != nil {
		return nil, err
	}
	return map[string]string{"txn-chain": encoded}, nil
}
