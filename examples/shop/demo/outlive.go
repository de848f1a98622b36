package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
)

// servers are the workloads that serve, by the names of their addresses.
var servers = []string{"tts", "gateway", "orders", "stocks", "payments"}

// certificates returns the leaf of the X.509-SVID that each server presents now.
func (a *attacker) certificates(ctx context.Context) (map[string]*x509.Certificate, error) {
	leaves := make(map[string]*x509.Certificate)
	for _, name := range servers {
		config := tlsconfig.MTLSClientConfig(a.gateway, a.gateway, tlsconfig.AuthorizeID(workload(name)))
		config.NextProtos = []string{"h2"}
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", a.shop.addresses[name])
		if err != nil {
			return nil, fmt.Errorf("the certificate of %s: %w", name, err)
		}
		if conn, ok := conn.(*tls.Conn); ok {
			leaves[name] = conn.ConnectionState().PeerCertificates[0]
		}
		if err := conn.Close(); err != nil {
			return nil, err
		}
	}
	return leaves, nil
}

// outlive places another order when the certificates that the servers had at first have
// all expired: every connection was made anew with others by then, in time and without
// a restart.
func (a *attacker) outlive(ctx context.Context, w io.Writer, first map[string]*x509.Certificate) error {
	var end time.Time
	for name, leaf := range first {
		if !leaf.NotAfter.Before(time.Now().Add(a.shop.outlive)) {
			return fmt.Errorf("the X.509-SVID of %s expires at %s only, which is later than after %s",
				name, leaf.NotAfter.Format(time.TimeOnly), a.shop.outlive)
		}
		if leaf.NotAfter.After(end) {
			end = leaf.NotAfter
		}
	}
	if err := sleep(ctx, end); err != nil {
		return err
	}
	began := time.Now()
	if _, err := a.user.placeOrder(ctx, a.accessToken); err != nil {
		return errors.Join(fmt.Errorf("the order was refused after all first SVIDs had expired: %w", err), a.shop.failed(err))
	}
	all, err := a.shop.spansOfOrder(ctx, began)
	if err != nil {
		return err
	}
	root, found := findRoot(since(all, began), rootCall)
	if !found {
		return errors.New("no span of the order")
	}
	if err := newTree(all, root).check(); err != nil {
		return err
	}
	now, err := a.certificates(ctx)
	if err != nil {
		return err
	}
	for name, leaf := range now {
		if leaf.SerialNumber.Cmp(first[name].SerialNumber) == 0 {
			return fmt.Errorf("%s presents a certificate that has expired", name)
		}
	}
	fmt.Fprintf(w, "\nRotation\n  the first X.509-SVIDs of all %d servers have expired, an order goes through as before\n", len(now))
	return nil
}
