package interceptors

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// serverTelemetry holds the guard's instruments.
type serverTelemetry struct {
	verifications metric.Int64Counter
	duration      metric.Float64Histogram
	durationBy    map[string][]metric.RecordOption // by result
	withScope     bool
	chain         chainTelemetry
}

func (t *serverTelemetry) init(meter metric.Meter, r *replays, log callchain.Recorder) error {
	var problems [3]error
	problems[2] = t.chain.init(meter, r, log)
	t.verifications, problems[0] = semconv.ServerVerifications.Int64Counter(meter)
	t.duration, problems[1] = semconv.ServerVerificationDuration.Float64Histogram(meter)
	t.durationBy = make(map[string][]metric.RecordOption)
	for _, result := range []string{semconv.ResultOK, semconv.ResultDenied, semconv.ResultExempt, semconv.ResultError} {
		set := attribute.NewSet(semconv.TokenResult.String(result))
		t.durationBy[result] = []metric.RecordOption{metric.WithAttributeSet(set)}
	}
	return errors.Join(problems[:]...)
}

// verificationAttributes are the labels of the verification counter; reason is empty
// for a call that was let through.
func verificationAttributes(m *method, result string, reason trat.Reason) attribute.Set {
	attrs := []attribute.KeyValue{
		semconv.TokenResult.String(result),
		semconv.TokenMode.String(m.mode()),
		semconv.RPCMethod.String(m.name),
	}
	if reason != "" {
		attrs = append(attrs, semconv.ErrorType.String(string(reason)))
	}
	return attribute.NewSet(attrs...)
}

// report writes down what became of c, once, before its handler runs.
func (s *Server) report(ctx context.Context, c *call, fullMethod string) {
	s.telemetry.chain.reportChain(ctx, c)
	s.record(ctx, c, fullMethod)
	result := c.method.acceptedResult()
	if c.err != nil {
		result = resultOf(reasonOf(c.err))
	}
	s.telemetry.duration.Record(ctx, s.clock().Sub(c.start).Seconds(), s.telemetry.durationBy[result]...)
	if c.err != nil {
		s.reportRefusal(ctx, c)
		return
	}
	s.telemetry.verifications.Add(ctx, 1, c.method.accepted...)
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	attrs := c.spanAttributes(result)
	if c.token != nil {
		attrs = append(attrs, tokenAttributes(c.token, c.start)...)
		if s.telemetry.withScope {
			attrs = append(attrs, semconv.TokenScope.StringSlice(slices.Collect(c.token.Scope().Tokens())))
		}
	}
	span.SetAttributes(attrs...)
}

// reportRefusal counts and logs a refused call, or a stream whose message was refused
// and that has been counted as admitted before.
func (s *Server) reportRefusal(ctx context.Context, c *call) {
	reason := reasonOf(c.err)
	result := resultOf(reason)
	s.telemetry.verifications.Add(ctx, 1, metric.WithAttributeSet(verificationAttributes(c.method, result, reason)))
	digest := c.fingerprint()
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		attrs := append(c.spanAttributes(result), semconv.ErrorType.String(string(reason)))
		if digest != "" {
			attrs = append(attrs, semconv.TokenHash.String(shortHash(digest)))
		}
		span.SetAttributes(attrs...)
	}
	attrs := []slog.Attr{
		slog.String(semconv.EventName, semconv.EventVerificationFailed),
		slog.String(string(semconv.ErrorType), string(reason)),
		slog.String(string(semconv.TokenResult), result),
		slog.String(string(semconv.TokenMode), c.method.mode()),
		slog.String(string(semconv.RPCMethod), c.method.name),
		slog.String(string(semconv.ChainPeerID), peerName(c.peer)),
		slog.String(string(semconv.TokenHash), shortHash(digest)),
		slog.String(string(semconv.TokenFingerprint), digest),
		slog.String("cause", c.err.Error()),
	}
	if c.token != nil { // before that, whoever made the token up could name any transaction
		attrs = append(attrs, slog.String(string(semconv.TokenTxn), c.token.TransactionID()))
	}
	s.failures.peer(c.peer, s.clock()).logs.warn(ctx, &s.settings, "TraT guard refused a call", attrs...)
}

// fingerprint identifies the call's token, verified or not; "" if there was not one.
func (c *call) fingerprint() string {
	switch {
	case c.token != nil:
		return c.token.Fingerprint()
	case c.raw != "":
		return fingerprint(c.raw)
	default:
		return ""
	}
}

// spanAttributes are what the server span has of every call.
func (c *call) spanAttributes(result string) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 16)
	attrs = append(attrs, semconv.TokenResult.String(result), semconv.TokenMode.String(c.method.mode()))
	if !c.peer.IsZero() {
		attrs = append(attrs, semconv.ChainPeerID.String(c.peer.String()))
	}
	return c.chainAttributes(attrs)
}

// tokenAttributes are what client and server spans have of a verified token.
func tokenAttributes(token *trat.Token, now time.Time) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.TokenTxn.String(token.TransactionID()),
		semconv.TokenHash.String(shortHash(token.Fingerprint())),
		semconv.TokenReqWL.String(token.RequestingWorkload()),
		semconv.TokenSize.Int(token.Size()),
		semconv.TokenRemainingLifetime.Float64(token.Expiry().Sub(now).Seconds()),
	}
}

func peerName(id spiffeid.ID) string {
	if id.IsZero() {
		return "none"
	}
	return id.String()
}

// logMisconfigured reports a method without a rule, at most once a minute: it is a
// fault of this server, or somebody probing, and either repeats.
func (s *Server) logMisconfigured(ctx context.Context, fullMethod string) {
	if s.misconfig.AllowN(s.clock(), 1) {
		s.logger.LogAttrs(ctx, slog.LevelError, "TraT guard has no rule for a called method",
			slog.String(string(semconv.RPCMethod), fullMethod))
	}
}

// logUnchecked reports that every call is denied, at most once a minute: what each of
// them is refused with looks like an outage, and only this tells the way out of it.
func (s *Server) logUnchecked(ctx context.Context) {
	if s.unchecked.AllowN(s.clock(), 1) {
		s.logger.LogAttrs(ctx, slog.LevelError, "TraT guard denies every call: CheckCoverage was not called, or has failed",
			slog.String(string(semconv.ErrorType), string(trat.ReasonCoverageUnchecked)))
	}
}
