package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// attacker has what an attacker might come by: some workloads' identities (through
// their Workload API sockets), a user's access token, and stolen TraTs. It calls
// with plain gRPC, so nothing on its own side holds it back.
type attacker struct {
	shop *shop
	user *user

	closers []io.Closer

	gateway, orders, scheduler, mallory, rival *workloadapi.X509Source

	kept        *x509svid.SVID // the first that the attacker had as orders
	accessToken string         // alice's, with orders:write and orders:read
	stolen      string         // a good TraT for the order of the demo
	brief       string         // a TraT that lives for one second
	briefEnds   time.Time      // when nobody accepts that any more
	verifier    *trat.Verifier // what a workload knows of tokens
}

// newAttacker takes over the workloads' identities.
func newAttacker(ctx context.Context, s *shop) (*attacker, error) {
	a := &attacker{shop: s}
	for _, w := range []struct {
		source **workloadapi.X509Source
		id     spiffeid.ID
	}{
		{&a.gateway, workload("gateway")},
		{&a.orders, workload("orders")},
		{&a.scheduler, workload("scheduler")},
		{&a.mallory, workload("mallory")},
		{&a.rival, spiffeid.RequireFromSegments(rivalDomain, "shipping")},
	} {
		source, err := s.takeOver(ctx, w.id)
		if err != nil {
			return nil, errors.Join(err, a.close())
		}
		*w.source = source
		a.closers = append(a.closers, source)
	}
	var err error
	if a.kept, err = a.orders.GetX509SVID(); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// close ends everything that the attacker has opened, last first.
func (a *attacker) close() error {
	var err error
	for _, c := range slices.Backward(a.closers) {
		err = errors.Join(err, c.Close())
	}
	return err
}

// dial connects as the workload of source to the service of that name.
func (a *attacker) dial(source *workloadapi.X509Source, name string) (*grpc.ClientConn, error) {
	return a.dialAt(source, a.shop.addresses[name], workload(name))
}

// dialAt connects as the workload of source to the workload id at address.
func (a *attacker) dialAt(source *workloadapi.X509Source, address string, id spiffeid.ID) (*grpc.ClientConn, error) {
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(id))
	if err != nil {
		return nil, err
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(creds)}
	if links := a.linkingAs(source); links != nil {
		opts = append(opts, grpc.WithPerRPCCredentials(links))
	}
	conn, err := grpc.NewClient(address, opts...)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, conn)
	return conn, nil
}

// createOrder calls orders directly, as the workload of source, with metadata as
// key, value, key, value.
func (a *attacker) createOrder(ctx context.Context, source *workloadapi.X509Source, amount int64, kv ...string) error {
	conn, err := a.dial(source, "orders")
	if err != nil {
		return err
	}
	_, err = shopv1.NewOrdersServiceClient(conn).CreateOrder(metadata.AppendToOutgoingContext(ctx, kv...), order(amount))
	return err
}

// exchange asks the token service for a raw TraT, as the workload of source. It is
// what client.Client does, less everything that keeps the token from being stolen.
func (a *attacker) exchange(ctx context.Context, source *workloadapi.X509Source, accessToken, scope string, details trat.Object) (*tratv1.ExchangeResponse, error) {
	conn, err := a.dial(source, "tts")
	if err != nil {
		return nil, err
	}
	return tratv1.NewTokenServiceClient(conn).Exchange(ctx, &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           trustDomain.Name(),
		Scope:              scope,
		RequestedTokenType: trat.TokenType,
		SubjectToken:       accessToken,
		SubjectTokenType:   string(client.AccessToken),
		RequestDetails:     details.JSON(),
	})
}

// newToken steals a good TraT for the order of the demo, as the gateway requests it.
func (a *attacker) newToken(ctx context.Context) (string, error) {
	details, err := orderDetails()
	if err != nil {
		return "", err
	}
	answer, err := a.exchange(ctx, a.gateway, a.accessToken, "order.create", details)
	return answer.GetAccessToken(), err
}

// order is that of the demo, for another amount if need be.
func order(amount int64) *shopv1.CreateOrderRequest {
	return &shopv1.CreateOrderRequest{Sku: sku, Quantity: quantity, AmountCents: amount}
}

// orderDetails are the parameters of the demo's order, as the gateway states them.
func orderDetails() (trat.Object, error) { return client.DetailsFrom(order(amountCents)) }

// sleep waits until t, for an attack that needs a token to have expired.
func sleep(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
