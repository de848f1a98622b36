// Package httptoken is the token service over HTTP: the form of RFC 8693 for gateways that
// speak OAuth, the verification keys as a JWK Set, and the metadata of RFC 8414.
//
// It decides nothing about a request. A form becomes a trat.v1.ExchangeRequest and goes to
// the same Exchange method as over gRPC; the answer, or the reason of a refusal, becomes
// OAuth's JSON. So the two cannot differ in what they issue and why they refuse. What is
// refused here is what is no such form at all: the counterpart of bytes that are no
// protobuf message. The service concludes that too (Refuse), so that it has the same
// limits, audit record and metrics.
//
// Server makes its connections with credentials.TransportCredentials of package
// spiffecreds, as gRPC does, and hands the verified peer on in the same way. The
// connections carry HTTP/1.1 and nothing else: who wants HTTP/2 has gRPC, and a request at
// a time is a bound on what one connection can ask for.
package httptoken
