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
)

// serverTelemetry holds the guard's instruments.
type serverTelemetry struct {
	verifications metric.Int64Counter
	duration      metric.Float64Histogram
	durationBy    map[string][]metric.RecordOption // by result
	withScope     bool
	chain         chainTelemetry
}

func (t *serverTelemetry) init(s *Server) error {
	meter := s.meter()
	var problems [4]error
	problems[2] = t.chain.init(meter, &s.replays, s.chainLog)
	_, problems[3] = semconv.ServerMethods.Int64ObservableUpDownCounter(meter, s.observeMethods)
	t.verifications, problems[0] = semconv.ServerVerifications.Int64Counter(meter)
	t.duration, problems[1] = semconv.ServerVerificationDuration.Float64Histogram(meter)
	t.durationBy = make(map[string][]metric.RecordOption)
	for _, result := range []string{
		semconv.ResultOK, semconv.ResultDenied, semconv.ResultWouldDeny, semconv.ResultExempt, semconv.ResultError,
	} {
		set := attribute.NewSet(semconv.TokenResult.String(result))
		t.durationBy[result] = []metric.RecordOption{metric.WithAttributeSet(set)}
	}
	return errors.Join(problems[:]...)
}

// observeMethods reports how many methods there are in each mode.
func (s *Server) observeMethods(_ context.Context, o metric.Int64Observer) error {
	methods := s.methods.Load()
	if methods == nil {
		return nil
	}
	number := map[string]int64{semconv.ModeStrict: 0, semconv.ModePresence: 0, semconv.ModeShadow: 0, semconv.ModeOff: 0}
	for _, m := range *methods {
		number[m.mode()]++
	}
	for mode, n := range number {
		o.Observe(n, metric.WithAttributes(semconv.TokenMode.String(mode)))
	}
	return nil
}

// verificationAttributes are the labels of the verification counter; reason is empty
// for a call that nothing was wrong with.
func verificationAttributes(method, result, mode string, reason trat.Reason) attribute.Set {
	attrs := []attribute.KeyValue{
		semconv.TokenResult.String(result),
		semconv.TokenMode.String(mode),
		semconv.RPCMethod.String(method),
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
	reason := c.failure()
	result := c.result(reason)
	s.telemetry.duration.Record(ctx, s.clock().Sub(c.start).Seconds(), s.telemetry.durationBy[result]...)
	if reason != "" {
		s.reportFailure(ctx, c, reason)
	} else {
		s.telemetry.verifications.Add(ctx, 1, c.method.accepted[c.method.enforcement()]...)
	}
	c.raw = "" // a stream keeps the call, and whoever prints the stream prints it
	span := trace.SpanFromContext(ctx)
	if c.err != nil || !span.IsRecording() {
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

// failed is what strict mode refuses c for; nil for nothing.
func (c *call) failed() error {
	if c.err != nil {
		return c.err
	}
	return c.wouldDeny
}

// failure is the reason of that, "" for nothing.
func (c *call) failure() trat.Reason {
	if err := c.failed(); err != nil {
		return reasonOf(err)
	}
	return ""
}

// result is what became of c, which failed for reason.
func (c *call) result(reason trat.Reason) string {
	switch {
	case reason == "":
		return c.method.acceptedResult()
	case c.err == nil:
		return semconv.ResultWouldDeny
	default:
		return resultOf(reason)
	}
}

// reportRefusal counts and logs a stream that was refused, or would have been in strict
// mode, and that has been reported as admitted before.
func (s *Server) reportRefusal(ctx context.Context, c *call) { s.reportFailure(ctx, c, c.failure()) }

// reportFailure counts and logs that c failed for reason.
func (s *Server) reportFailure(ctx context.Context, c *call, reason trat.Reason) {
	result, mode := c.result(reason), c.method.mode()
	s.telemetry.verifications.Add(ctx, 1, metric.WithAttributeSet(verificationAttributes(c.method.name, result, mode, reason)))
	digest := c.fingerprint()
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		attrs := append(c.spanAttributes(result), semconv.ErrorType.String(string(reason)))
		if digest != "" {
			attrs = append(attrs, semconv.TokenHash.String(shortHash(digest)))
		}
		// A field of a token that is not verified may be anything.
		if failure, ok := errors.AsType[*trat.Error](c.failed()); ok && c.token != nil && failure.Field != "" {
			attrs = append(attrs, semconv.TokenField.String(failure.Field))
		}
		span.SetAttributes(attrs...)
	}
	event, message := semconv.EventVerificationFailed, "TraT guard refused a call"
	if c.err == nil {
		event, message = semconv.EventVerificationWouldFail, "TraT guard let a call through that it would refuse in strict mode"
	}
	attrs := []slog.Attr{
		slog.String(semconv.EventName, event),
		slog.String(string(semconv.ErrorType), string(reason)),
		slog.String(string(semconv.TokenResult), result),
		slog.String(string(semconv.TokenMode), mode),
		slog.String(string(semconv.RPCMethod), c.method.name),
		slog.String(string(semconv.ChainPeerID), peerName(c.peer)),
		slog.String(string(semconv.TokenHash), shortHash(digest)),
		slog.String(string(semconv.TokenFingerprint), digest),
		slog.String("cause", c.failed().Error()),
	}
	if c.token != nil { // before that, whoever made the token up could name any transaction
		attrs = append(attrs, slog.String(string(semconv.TokenTxn), c.token.TransactionID()))
	}
	s.failures.peer(c.peer, s.clock()).logs.warn(ctx, &s.settings, message, attrs...)
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
