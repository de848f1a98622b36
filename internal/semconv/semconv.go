// Package semconv holds the names of this module's telemetry: attribute keys,
// their closed sets of values, metric instruments and log event names. It is
// names and nothing more; what is recorded where, and what must never be, is the business of
// the packages that record.
//
// Rules that every user of these names keeps:
//   - transaction ids, subjects, SPIFFE IDs, trace ids and token hashes never go
//     on metrics;
//   - no token, link, certificate, subject token or claim value goes anywhere;
//   - the reason of a failure is ErrorType, as the trat.Reason word;
//   - attributes go on the RPC spans that otelgrpc makes; there is no second RPC
//     span, and below it one of VerifySpan only while somebody else is asked.
package semconv

// ScopeName is the instrumentation scope of every tracer, meter and logger of this
// module: its module path.
const ScopeName = "github.com/grpc-trat/grpc-trat"

// VerifySpan is the name of the span below the server's in which the guard waits for a
// policy decision point.
const VerifySpan = "txn_token.verify"

// SchemaURL pins the OpenTelemetry semantic conventions whose registry names
// (RPCMethod, RPCResponseStatusCode, ErrorType, EnduserPseudoID) are used here. It
// is the version that otelgrpc v0.72 records on the same spans.
const SchemaURL = "https://opentelemetry.io/schemas/1.43.0"

// OtherMethod is the value of RPCMethod on metrics when a called method is not a
// registered one, so that callers cannot choose how many series there are.
const OtherMethod = "_OTHER"
