// Package trat is the Transaction Token (TraT) itself: its claims, how it is
// signed, how it is verified, which keys are trusted, and how a verified one is
// carried through a process. It follows draft-ietf-oauth-transaction-tokens,
// revision 10, and knows nothing of gRPC or telemetry.
//
// # Which function
//
//   - A workload that receives TraTs makes one [Verifier] with [NewVerifier] at
//     start and calls [Verifier.Verify] for each request. The guard in package
//     interceptors does this; handlers use [FromContext].
//   - A token service makes [Claims], checks and encodes them with [Prepare] and
//     redeems the result once with [Signer.Sign]. What was not prepared cannot be
//     signed.
//   - A tool that shows a token without trusting it uses [ParseUnverified]. Its
//     result is another type, so that it can never pass for a [Token].
//
// # Trust
//
// A [Token] has no exported fields and only a Verifier makes one that holds
// anything: the zero Token counts as none. The inputs that decide whom to trust
// (trust domain, issuer, keys) are positional and required; options only tune,
// and the one that loosens is named Unsafe. Algorithm and key are one value, a
// [Key]; nothing in a token's header can choose either.
//
// # Secrets
//
// A TraT is a bearer credential. Tokens, claims and objects print as a
// fingerprint or a size, through every fmt verb, log/slog and encoding/json
// ([Object] alone marshals as the JSON it is). Errors hold names and causes,
// never values. The compact form leaves a Token only through [Token.UnsafeRaw].
//
// # Errors
//
// Every error of this package is or wraps an [*Error], whose [Reason] is the
// stable word for what went wrong:
//
//	if errors.Is(err, trat.ReasonTxnTokenExpired) { ... }
//
// Everything here is safe for concurrent use.
package trat
