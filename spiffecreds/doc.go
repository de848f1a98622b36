// Package spiffecreds secures gRPC connections with X.509-SVIDs, as strictly as
// Transaction Tokens need: a token is only as good as the knowledge of who is at
// the other end of the connection that brought it.
//
// What it adds to go-spiffe's own gRPC credentials:
//
//   - TLS 1.3 only, HTTP/2 by ALPN (HTTP/1.1 with WithHTTP1), and never a resumed
//     session: each connection
//     verifies the peer's certificate against the bundle of that moment. (A session
//     ticket would let a peer in whose certificate authority has left the bundle.)
//   - The checks of X509-SVID sections 2, 4 and 5 on the peer's leaf certificate, with an
//     error that says which one failed; see PeerError.
//   - A required spiffeid.Matcher on both sides. There is no "any".
//   - A Peer with the ID and the leaf certificate, so that a server can refuse calls
//     after the peer's certificate expired in the middle of a connection; see
//     Peer.Expired.
//   - AuthInfo with a security level, so that credentials.CheckSecurityLevel works.
//   - An expired SVID is never presented to a peer.
//
// The certificate to present is taken from its source, and the bundle to verify
// against from its own, at each handshake: rotation needs no restart. Connections that
// are open stay open; a server bounds their age with
// keepalive.ServerParameters.MaxConnectionAge, below the lifetime of its SVIDs.
//
// Source is the source of both over the SPIFFE Workload API.
package spiffecreds
