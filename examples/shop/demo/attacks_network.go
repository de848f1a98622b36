package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// noCertificate is the outcome of a TLS connection without a client certificate.
const noCertificate = trat.Reason("TLS_CERTIFICATE_REQUIRED")

// networkAttacks are made on who is at the other end of a connection.
func networkAttacks() []attack {
	return []attack{
		{"TLS without a client certificate", refusal(ordersTLS, noCertificate), func(ctx context.Context, a *attacker) error {
			return a.anonymous(ctx)
		}},
		{"token service with another workload's SVID", refusal(tokenClient, trat.ReasonDependencyUnavailable), func(ctx context.Context, a *attacker) error {
			return a.rogueTokenService(ctx)
		}},
		{"token sent to another trust domain", refusal(carrier, trat.ReasonEgressBlocked), func(ctx context.Context, a *attacker) error {
			return a.egress(ctx)
		}},
	}
}

// anonymous connects to orders as somebody who trusts it but has no SVID. In TLS 1.3
// the refusal comes after the client's side of the handshake is done.
func (a *attacker) anonymous(ctx context.Context) error {
	config := tlsconfig.TLSClientConfig(a.gateway, tlsconfig.AuthorizeID(workload("orders")))
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", a.shop.addresses["orders"])
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	_, err = conn.Read(make([]byte, 1))
	if err != nil && strings.Contains(err.Error(), "certificate required") {
		return noCertificate
	}
	return err
}

// rogueTokenService listens where the token service is expected, as mallory. The
// gateway's client must not send it the user's access token.
func (a *attacker) rogueTokenService(ctx context.Context) error {
	rogue := &rogueTTS{}
	address, err := a.serve(ctx, a.mallory, a.mallory, trustDomain, func(r grpc.ServiceRegistrar) {
		tratv1.RegisterTokenServiceServer(r, rogue)
	})
	if err != nil {
		return err
	}
	// Whoever wants to talk to mallory can: the refusal below is not a dead line.
	conn, err := a.dialAt(a.gateway, address, workload("mallory"))
	if err != nil {
		return err
	}
	_, err = tratv1.NewTokenServiceClient(conn).Exchange(ctx, &tratv1.ExchangeRequest{})
	if rogue.received.Load() != 1 {
		return fmt.Errorf("the rogue token service cannot be reached: %w", err)
	}
	tokens, err := a.client(a.gateway, address)
	if err != nil {
		return err
	}
	_, err = tokens.Exchange(ctx, client.Request{
		SubjectToken: a.accessToken, SubjectTokenType: client.AccessToken, Scope: "order.create",
	})
	if rogue.received.Load() != 1 {
		return errors.New("the rogue token service received the request")
	}
	return err
}

// egress has the carrier call another company's workload, which the gateway even
// trusts to be what it says: the two domains are federated.
func (a *attacker) egress(ctx context.Context) error {
	both, err := federation(a.gateway, a.rival)
	if err != nil {
		return err
	}
	outsider := &shippingCompany{}
	address, err := a.serve(ctx, a.rival, both, trustDomain, func(r grpc.ServiceRegistrar) {
		shopv1.RegisterOrdersServiceServer(r, outsider)
	})
	if err != nil {
		return err
	}
	creds, err := spiffecreds.NewClient(a.gateway, both, spiffeid.MatchMemberOf(rivalDomain))
	if err != nil {
		return err
	}
	carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: trustDomain, SVIDs: a.gateway})
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(address, append(carrier.DialOptions(), grpc.WithTransportCredentials(creds))...)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, conn)

	tokens, err := a.client(a.gateway, a.shop.addresses["tts"])
	if err != nil {
		return err
	}
	details, err := orderDetails()
	if err != nil {
		return err
	}
	token, err := tokens.Exchange(ctx, client.Request{
		SubjectToken: a.accessToken, SubjectTokenType: client.AccessToken, Scope: "order.create", Details: details,
	})
	if err != nil {
		return err
	}
	_, err = shopv1.NewOrdersServiceClient(conn).CreateOrder(trat.NewContext(ctx, token), &shopv1.CreateOrderRequest{})
	if n := outsider.received.Load(); n > 0 {
		return fmt.Errorf("the outsider received %d requests", n)
	}
	return err
}

// client is a workload's client of whatever listens at address. It takes nobody but
// the shop's token service for it.
func (a *attacker) client(source *workloadapi.X509Source, address string) (*client.Client, error) {
	tokens, err := client.New(client.Config{
		Target: address, Issuer: tokenIssuer, ServerID: workload("tts"), TrustDomain: trustDomain,
		SVIDs: source, Bundles: source,
	})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, tokens)
	return tokens, nil
}

// serve runs a server of the attacker's own, for members of the trust domain td.
func (a *attacker) serve(ctx context.Context, svids *workloadapi.X509Source, bundles x509bundle.Source, td spiffeid.TrustDomain, register func(grpc.ServiceRegistrar)) (string, error) {
	creds, err := spiffecreds.NewServer(svids, bundles, spiffeid.MatchMemberOf(td))
	if err != nil {
		return "", err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := grpc.NewServer(grpc.Creds(creds))
	register(server)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	a.closers = append(a.closers, stopper{server})
	return listener.Addr().String(), nil
}

type stopper struct{ server *grpc.Server }

func (s stopper) Close() error {
	s.server.Stop()
	return nil
}

// federation is the bundles of both trust domains.
func federation(ours, theirs *workloadapi.X509Source) (*x509bundle.Set, error) {
	our, err := ours.GetX509BundleForTrustDomain(trustDomain)
	if err != nil {
		return nil, err
	}
	their, err := theirs.GetX509BundleForTrustDomain(rivalDomain)
	if err != nil {
		return nil, err
	}
	return x509bundle.NewSet(our, their), nil
}

// rogueTTS counts what reaches it.
type rogueTTS struct {
	tratv1.UnimplementedTokenServiceServer
	received atomic.Int64
}

func (r *rogueTTS) Exchange(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	r.received.Add(1)
	return nil, errors.New("thank you for the access token")
}

// shippingCompany counts what reaches it.
type shippingCompany struct {
	shopv1.UnimplementedOrdersServiceServer
	received atomic.Int64
}

func (s *shippingCompany) CreateOrder(context.Context, *shopv1.CreateOrderRequest) (*shopv1.CreateOrderResponse, error) {
	s.received.Add(1)
	return &shopv1.CreateOrderResponse{}, nil
}
