// Package devauthority is a SPIFFE authority in a process: a certificate authority for
// one trust domain, and Workload API endpoints that serve its X.509-SVIDs.
//
// It is for "trat dev" and for tests, and is kept out of everything else: its trust
// domain must end in ".test" (a name that RFC 6761 reserves), and no daemon or library of
// this module imports it. Workloads reach it through the real Workload API protocol,
// by SPIFFE_ENDPOINT_SOCKET, exactly as they reach SPIRE; there is no second code path.
//
// A workload is attested by the socket it uses: one socket per identity, in a directory
// that only this user can enter.
//
// Of the Workload API it serves the X.509-SVID profile: FetchX509SVID and
// FetchX509Bundles. The JWT-SVID and WIT-SVID profiles answer UNIMPLEMENTED, as the
// specification provides for: Transaction Tokens have signing keys of their own, and
// nothing here uses those profiles.
//
// So that tests can see how the other side copes, it can be told to misbehave: see
// Flaw, Authority.Misissue and Authority.SetConduct.
package devauthority
