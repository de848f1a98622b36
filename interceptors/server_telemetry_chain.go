package interceptors

import (
	"context"
	"errors"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// chainTelemetry holds the guard's instruments of call chains and their replays.
type chainTelemetry struct {
	verifications metric.Int64Counter
	judged        map[chainOutcome][]metric.AddOption
	links         metric.Int64Histogram
	rejections    metric.Int64Counter
	overflows     metric.Int64Counter
}

// chainOutcome is a series of the counter of judged chains.
type chainOutcome struct {
	result string
	mode   callchain.Mode
}

func (t *chainTelemetry) init(meter metric.Meter, r *replays, log callchain.Recorder) error {
	var problems [6]error
	t.verifications, problems[0] = semconv.ChainVerifications.Int64Counter(meter)
	t.links, problems[1] = semconv.ChainLinks.Int64Histogram(meter)
	t.rejections, problems[2] = semconv.ReplayCacheRejections.Int64Counter(meter)
	t.overflows, problems[3] = semconv.ReplayCacheOverflows.Int64Counter(meter)
	_, problems[4] = semconv.ReplayCacheSize.Int64ObservableUpDownCounter(meter, r.observe)
	if log, ok := log.(interface{ Lost() uint64 }); ok {
		_, problems[5] = semconv.ChainRecordsLost.Int64ObservableCounter(meter, func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(min(log.Lost(), math.MaxInt64)))
			return nil
		})
	}
	t.judged = make(map[chainOutcome][]metric.AddOption)
	for _, mode := range []callchain.Mode{callchain.ModePath, callchain.ModeHead, callchain.ModeOff} {
		for _, result := range []string{
			semconv.ChainResultOK, semconv.ChainResultMissing, semconv.ChainResultLinkInvalid, semconv.ChainResultPeerMismatch,
			semconv.ChainResultRootMismatch, semconv.ChainResultTooDeep, semconv.ChainResultReplayed, semconv.ChainResultOff,
			semconv.ChainResultError,
		} {
			set := attribute.NewSet(semconv.ChainResult.String(result), semconv.ChainMode.String(mode.String()))
			t.judged[chainOutcome{result, mode}] = []metric.AddOption{metric.WithAttributeSet(set)}
		}
	}
	return errors.Join(problems[:]...)
}

// observe reports how much the local stores hold.
func (r *replays) observe(_ context.Context, o metric.Int64Observer) error {
	o.Observe(int64(r.links.Len()), metric.WithAttributes(semconv.ReplayMode.String(semconv.ReplayModeJTI)))
	if r.onceLocal != nil {
		o.Observe(int64(r.onceLocal.Len()), metric.WithAttributes(semconv.ReplayMode.String(semconv.ReplayModeOnce)))
	}
	return nil
}

// reportChain counts what became of c's chain, if it was looked at.
func (t *chainTelemetry) reportChain(ctx context.Context, c *call) {
	if c.chainResult == "" {
		return
	}
	t.verifications.Add(ctx, 1, t.judged[chainOutcome{c.chainResult, c.method.chain}]...)
	if c.err == nil && c.chain != nil {
		t.links.Record(ctx, int64(c.chain.Len()))
	}
}

// reportRejection counts a call that a replay store stopped.
func (t *chainTelemetry) reportRejection(ctx context.Context, mode string, reason trat.Reason) {
	t.rejections.Add(ctx, 1, metric.WithAttributes(semconv.ReplayMode.String(mode), semconv.ErrorType.String(string(reason))))
}

// chainAttributes are what the server span has of the chain. Of one that was not
// verified there is only the verdict: what it says of itself may be anything.
func (c *call) chainAttributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	if c.chainResult == "" {
		return attrs
	}
	attrs = append(attrs, semconv.ChainResult.String(c.chainResult), semconv.ChainMode.String(c.method.chain.String()))
	if c.chain == nil {
		return attrs
	}
	attrs = append(attrs, linkAttributes(c.chain.Last())...)
	if c.trace != traceAbsent {
		attrs = append(attrs, semconv.ChainTraceMatch.Bool(c.trace == traceMatches))
	}
	return attrs
}

// linkAttributes are what client and server spans have of the call's own link.
func linkAttributes(link callchain.Link) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		semconv.ChainLinkHash.String(link.Hash().String()),
		semconv.ChainDepth.Int(link.Depth()),
	}
	if parent := link.Parent(); !parent.IsZero() {
		attrs = append(attrs, semconv.ChainParentHash.String(parent.String()))
	}
	return attrs
}
