package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
)

// user is somebody outside: an access token, and trust in the gateway's name.
type user struct {
	name   string
	issuer string
	conn   *grpc.ClientConn
}

// newUser connects to the gateway over one-way TLS: the user has no certificate, and
// pins the gateway's SPIFFE ID.
func newUser(name, issuer, gateway string, trust x509bundle.Source) (*user, error) {
	config := tlsconfig.TLSClientConfig(trust, tlsconfig.AuthorizeID(workload("gateway")))
	conn, err := grpc.NewClient(gateway, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return nil, err
	}
	return &user{name: name, issuer: issuer, conn: conn}, nil
}

// accessToken gets an OAuth access token for the shop's API with the given scope.
func (u *user) accessToken(ctx context.Context, scope string) (string, error) {
	form := url.Values{
		"grant_type": {"urn:example:grant-type:demo-user-without-password"},
		"username":   {u.name},
		"client_id":  {"demo"},
		"resource":   {apiAudience},
		"scope":      {scope},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the issuer answered %s", resp.Status)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", err
	}
	return answer.AccessToken, nil
}

// placeOrder asks the gateway for the goods of the demo; extra is further metadata,
// as key, value, key, value.
func (u *user) placeOrder(ctx context.Context, accessToken string, extra ...string) (*shopv1.PlaceOrderResponse, error) {
	kv := append([]string{"authorization", "Bearer " + accessToken}, extra...)
	return shopv1.NewStorefrontServiceClient(u.conn).PlaceOrder(
		metadata.AppendToOutgoingContext(ctx, kv...),
		&shopv1.PlaceOrderRequest{Sku: sku, Quantity: quantity, AmountCents: amountCents})
}
