// Package interceptors puts Transaction Tokens (TraTs) on gRPC calls.
//
// Server is the guard: no handler runs before the call's TraT and call chain were verified
// and the method's rule was satisfied. Client is the carrier: it sends the TraT of the
// context with every outgoing call, byte for byte, to members of the trust domain and to
// nobody else, and signs a link of the chain for it. Edge is for the one listener of a
// gateway that outsiders reach. Each is one object for unary calls and streams, safe for
// concurrent use.
//
//	guard, err := interceptors.NewServer(
//		interceptors.ServerConfig{Verifier: verifier, SVIDs: source, Bundles: source},
//		interceptors.Rules{})
//	srv := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(creds))...)
//	shopv1.RegisterPaymentsServiceServer(srv, payments)
//	if err := guard.CheckCoverage(srv); err != nil { ... }
//
// A handler asks trat.FromContext on whose behalf it acts, spiffecreds.PeerFromContext who
// called, and callchain.FromContext through whom the request came. They are different
// types, and nothing merges them: a TraT never authenticates a caller.
//
// # Rules
//
// What a method requires stands beside it in its proto file, as an option (docs/rules.md):
//
//	rpc Charge(ChargeRequest) returns (ChargeResponse) {
//	  option (trat.v1.rule) = {scopes: "order.create" callers: "/orders"};
//	}
//	message ChargeRequest {
//	  int64 amount_cents = 1 [(trat.v1.bind).tctx = "amount_cents"];
//	}
//
// CheckCoverage finds the rules of the services that are registered and puts them in force;
// nothing has to be repeated in code. Rules in code add what a proto file cannot say, such as
// a Check, or stand for proto files that cannot be annotated. An overlay (WithOverlay), which
// a platform team keeps beside the program, tightens both. MethodRules lists what came of it. A
// method without a rule is denied, and what contradicts itself does not start.
//
// # The order of checks
//
// Each layer refuses with one reason (package trat) and nothing further in runs. The
// layers go from what costs least and tells least to what costs most: who calls is
// settled before anything is said about methods and tokens, and a workload that may
// not call a method cannot use it to find out whether a stolen token is still good.
//
//	call
//	 │  exempt method?              → handler; token neither required nor read
//	 │ ┌ coverage                   COVERAGE_UNCHECKED     UNAVAILABLE
//	 │ │ ┌ verified peer            CLIENT_UNAUTHENTICATED UNAUTHENTICATED
//	 │ │ │ ┌ peer's SVID in date    PEER_SVID_EXPIRED      UNAUTHENTICATED
//	 │ │ │ │ ┌ own trust domain     PEER_DENIED            PERMISSION_DENIED
//	 │ │ │ │ │ ┌ method has a rule  POLICY_DENIED          PERMISSION_DENIED
//	 │ │ │ │ │ │ ┌ caller allowed*  PEER_DENIED            PERMISSION_DENIED
//	 │ │ │ │ │ │ │ ┌ one token°     TXN_TOKEN_MISSING,     UNAUTHENTICATED
//	 │ │ │ │ │ │ │ │                TXN_TOKEN_MALFORMED
//	 │ │ │ │ │ │ │ │ ┌ peer's       RATE_LIMITED           RESOURCE_EXHAUSTED
//	 │ │ │ │ │ │ │ │ │ failures°
//	 │ │ │ │ │ │ │ │ │ ┌ token      TXN_TOKEN_…            UNAUTHENTICATED
//	 │ │ │ │ │ │ │ │ │ │ verified°  KEYS_UNAVAILABLE       UNAVAILABLE
//	 │ │ │ │ │ │ │ │ │ │ ┌ scope*   INSUFFICIENT_SCOPE     PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ tctx*    POLICY_DENIED          PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ ┌ chain* CHAIN_…                PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ ┌ path* CHAIN_TOO_DEEP,       PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ rules POLICY_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ ┌ strict trace*
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │    CHAIN_LINK_INVALID     PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ ┌ conditions that do not name the request*, then
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ bound fields*, then the other conditions*
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │  POLICY_DENIED          PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ ┌ Check*
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ POLICY_DENIED         PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ ┌ decision point*
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ POLICY_DENIED       PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ POLICY_UNAVAILABLE  UNAVAILABLE
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ ┌ not used before*
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ CHAIN_REPLAYED    PERMISSION_DENIED
//	 │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ DEPENDENCY_UNAVAILABLE UNAVAILABLE
//	 ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼ ▼
//	handler
//	 a stream's messages, each before the handler sees it: bound fields*, conditions that
//	 name the request*, CheckMessage*: POLICY_DENIED, which ends the stream
//
// ° is not in force in shadow mode, * not in presence mode either; see below.
//
// The order inside "chain" is that of callchain.Verifier.Verify: with no chain
// CHAIN_MISSING, too long a one CHAIN_TOO_DEEP, one that is not of this call
// CHAIN_LINK_INVALID, or of this peer CHAIN_PEER_MISMATCH, one that another workload began
// than requested the TraT CHAIN_ROOT_MISMATCH, and last the signatures, CHAIN_LINK_INVALID.
// That a call is accepted is noted after everything else: one that was refused for another
// reason may come again as it was.
//
// The peer gets a constant sentence and the reason; the cause goes to the log of this
// process. Unary calls and all kinds of streams get the same code and reason.
//
// # Enforcement modes
//
// A fleet whose callers do not send TraTs yet cannot be guarded strictly on one day. For each
// method (UnsafeEnforcement) the guard can let through what it would refuse:
//
//   - strict, the default: nothing.
//   - presence: what a valid TraT comes with, whatever else of the rule it breaks. The
//     handler has the TraT; it has the chain only if that was verified.
//   - shadow: a call without a valid TraT as well. The handler has none then, and calls that
//     it makes carry none: what was not verified is worth nothing.
//
// Who calls, and that there is a rule, is in force in every mode. The first thing that strict
// mode would refuse a call for, or the first of a stream, is counted, logged, and on the span:
// txn_token.result is would_deny, error.type the reason, txn_token.mode the mode. How many
// methods there are in each mode is the metric txn_token.server.methods. A running guard can
// be made stricter (Server.Tighten), and laxer only by a restart.
//
// # Where the guard goes among other interceptors
//
// Outermost first: recovery, request logging, the guard, then rate limiting by
// request, validation and the application's own. What stands outside the guard sees
// refused calls too, and sees the raw metadata, so it must not log metadata. What
// stands inside sees the handler's context: the verified token as a value, and no
// txn-token and txn-chain metadata. A recovery interceptor belongs outside, because a
// Check that panics must end the call and not the process. gRPC decodes a unary
// request before any interceptor runs; grpc.MaxRecvMsgSize bounds that work.
//
// OpenTelemetry: use otelgrpc's stats handler. Guard and carrier annotate its spans
// and make none of their own.
//
// # Call chains
//
// A rule demands the whole chain unless it says ChainHead or ChainOff, and the carrier
// sends it unless WithChainMode says so. A handler's calls are siblings: they share what it
// received and nothing else, so any number may be under way at once, and for as long as the
// TraT is good, because only the expiry of the last link counts and only on arrival. A
// chain has at most callchain.MaxLinks links, and fits into the header list; to go on from
// there a workload has its TraT replaced, by itself or by WithCheckpoint, and the chain
// begins anew behind it.
//
// # Streams
//
// Token and chain are verified once, when a stream is opened; messages cost nothing unless the
// rule is about them, but for a look at the clock where the stream has an end. When its TraT expires the guard ends a stream, at once and whatever the
// handler does, unless the rule says StreamOpenOnly (the default where only the server
// streams); see StreamEnd. The peer gets TXN_TOKEN_EXPIRED with the hint to open another, also
// when it is StreamMaxAge that has passed. StreamDraining tells the handler before. A client
// may send a new TraT in a message of the application (Client.Renewal), which the handler
// gives to Reverify. Calls that a handler makes with a TraT that has expired fail in any case.
//
// # Retries
//
// grpc-go retries a call only by an explicit service config. One that retries
// UNAUTHENTICATED, PERMISSION_DENIED or INVALID_ARGUMENT is a mistake: the same token
// gets the same answer. UNAVAILABLE may be retried; every attempt is checked anew by
// the carrier, so an attempt after exp does not leave the process, and has a link of its
// own, so that the guard takes it for what it is.
//
// A proxy that retries sends the same bytes again, and the guard refuses them with
// CHAIN_REPLAYED if the first time the handler ran. Turn such retries off, or let the rule
// say ReplayOff if the method may as well run twice. The metric
// txn_token.replay_cache.rejections counts them. With Once every attempt after the first
// is refused, a retry's and a hedged one as well: methods with it must not be retried.
package interceptors
