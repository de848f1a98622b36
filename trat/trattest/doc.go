// Package trattest helps to test services that are guarded by Transaction Tokens
// (TraTs): it is a virtual trust domain that lives in one test.
//
// A [Domain] has a token service's signing key and issuer, a certificate authority
// for X.509-SVIDs, and a clock that stands still until the test moves it:
//
//	d := trattest.New(t, "shop.test")
//	ctx := d.Context(t.Context(), trattest.Scope("order.create")) // as behind a guard
//	raw := d.Raw(trattest.Subject("user-7"))                      // to send
//	srv := grpc.NewServer(grpc.Creds(d.ServerCredentials("orders", d.Members())), ...)
//
// Nothing here is a back door. Tokens are signed and then verified by package trat,
// connections are real TLS, and what a service trusts is still what it is configured
// with: give it the Domain's Verifier, issuer and sources.
//
// The Domain's clock stands still, and time.Now does not, so give Now to everything under
// test that has a clock of its own, also when the test never moves the Domain's: without it
// a test passes as long as it is fast, and fails with TXN_TOKEN_EXPIRED or
// CHAIN_LINK_INVALID on a slow machine. Guards and carriers have interceptors.WithClock,
// the client of the token service client.WithClock, a chain log
// chainlog.FileConfig.Clock:
//
//	interceptors.NewServer(interceptors.ServerConfig{...}, rules, interceptors.WithClock(d.Now))
//	interceptors.NewClient(interceptors.ClientConfig{...}, interceptors.WithClock(d.Now))
//
// By its clock a guard judges links and peers' certificates, and a carrier what is left of
// a token's lifetime. The example "GuardedServer" is a whole server under test.
//
// Timers run by real time, whatever the Domain's clock says. So Advance alone wakes nobody:
// a stream whose end has passed (interceptors.StreamEnd) ends with the next message that is
// received or sent, and a test that waits for the end without one waits for the real expiry.
// To see an idle stream end, and to have the handler's context end by itself, make everything
// in a bubble of testing/synctest and move both, the Domain's clock first:
//
//	synctest.Test(t, func(t *testing.T) {
//		d := trattest.New(t, "shop.test")
//		... // server and client over bufconn: a real socket stops the bubble's clock
//		d.Advance(trat.DefaultLifetime + trat.DefaultLeeway)
//		time.Sleep(trat.DefaultLifetime + trat.DefaultLeeway)
//		_, err := stream.Recv() // TXN_TOKEN_EXPIRED
//	})
//
// The example "StreamEnd" is the first, and the test beside it in example_stream_test.go the
// second.
//
// Every way in which a token can be bad is a [Flaw], with the reason that a verifier
// must give for it; run a service against all of them:
//
//	for _, flaw := range trattest.Flaws() {
//		t.Run(string(flaw), func(t *testing.T) {
//			err := call(d.Broken(flaw))
//			...
//		})
//	}
//
// What Context makes is where a transaction begins: a carrier of the workload "gateway",
// which requested the token, signs the first link of a call chain and needs no help. For
// what happens behind that, [Domain.ChainContext] has the chain that a guard would have
// put into the context of a handler, and [Domain.RawChain] what is sent:
//
//	ctx := d.ChainContext(t.Context(), []string{"gateway", "orders"}, "stock", "/shop.v1.StockService/Deliver")
//
// Every way in which a chain can be bad is a [ChainFlaw]; [Domain.BrokenChain] makes one.
//
// The name of a trust domain must end in ".test" (RFC 6761 reserves it): no real
// workload can be configured for it, so what leaks out of a test is worth nothing.
//
// The package is for tests. It imports the embedded authority, which products must
// not.
package trattest
