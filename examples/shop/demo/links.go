package main

import (
	"context"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// linking are call credentials of an attacker who holds the keys of the workloads on a
// request's way, and so can sign what they would have signed: calls are refused for what
// is wrong with them, and not for want of a call chain. A token that is no good gets none.
type linking struct {
	a *attacker
	// way is the workload that calls, with those before it since the gateway.
	way []*workloadapi.X509Source
}

// linkingAs returns the credentials for calls of the workload of source; nil for one that
// no request comes through.
func (a *attacker) linkingAs(source *workloadapi.X509Source) credentials.PerRPCCredentials {
	switch source {
	case a.gateway:
		return linking{a, []*workloadapi.X509Source{a.gateway}}
	case a.orders:
		return linking{a, []*workloadapi.X509Source{a.gateway, a.orders}}
	default:
		return nil
	}
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (linking) RequireTransportSecurity() bool { return true }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (l linking) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	raw := md.Get("txn-token")
	if len(raw) != 1 || len(md.Get(callchain.MetadataKey)) > 0 || l.a.verifier == nil {
		return nil, nil
	}
	token, err := l.a.verifier.Verify(raw[0])
	if err != nil {
		return nil, nil //nolint:nilerr // the guard is to say so
	}
	info, _ := credentials.RequestInfoFromContext(ctx)
	server, ok := spiffecreds.PeerFromAuthInfo(info.AuthInfo)
	if !ok {
		return nil, nil
	}
	encoded, err := chain(ctx, callchain.Draft{Audience: server.ID, Method: info.Method, Token: token}, l.way...)
	if err != nil {
		return nil, err
	}
	return map[string]string{callchain.MetadataKey: encoded}, nil
}

// chain is the call chain of a call by the last workload on the way, each of which was
// called by the one before it. The links of those are made for it: no server has seen them.
func chain(ctx context.Context, draft callchain.Draft, way ...*workloadapi.X509Source) (string, error) {
	var err error
	last := len(way) - 1
	for i, source := range way[:last] {
		if draft.Parent, err = received(ctx, draft.Token, draft.Parent, source, way[i+1]); err != nil {
			return "", err
		}
	}
	return signed(ctx, way[last], draft)
}

// received is the chain that to has, once from has called it to create an order.
func received(ctx context.Context, token *trat.Token, parent *callchain.Chain, from, to *workloadapi.X509Source) (*callchain.Chain, error) {
	caller, err := from.GetX509SVID()
	if err != nil {
		return nil, err
	}
	callee, err := to.GetX509SVID()
	if err != nil {
		return nil, err
	}
	draft := callchain.Draft{
		Audience: callee.ID, Method: shopv1.OrdersService_CreateOrder_FullMethodName, Token: token, Parent: parent,
	}
	encoded, err := signed(ctx, from, draft)
	if err != nil {
		return nil, err
	}
	verifier, err := callchain.NewVerifier(to)
	if err != nil {
		return nil, err
	}
	return verifier.Verify(callchain.Received{
		Encoded: encoded, Audience: callee.ID, Method: draft.Method, Token: token, Mode: callchain.ModePath,
		Peer: callchain.Peer{ID: caller.ID, Leaf: caller.Certificates[0], Intermediates: caller.Certificates[1:]},
	})
}

// signed is the chain of a call by the workload of source, with its certificate.
func signed(ctx context.Context, source x509svid.Source, draft callchain.Draft, opts ...callchain.SignerOption) (string, error) {
	signer, err := callchain.NewSigner(source, opts...)
	if err != nil {
		return "", err
	}
	link, err := signer.SignLink(ctx, draft)
	if err != nil {
		return "", fmt.Errorf("sign a link: %w", err)
	}
	return link.Encode(callchain.ModePath, nil)
}
