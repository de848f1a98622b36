package interceptors

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// streams is what the streams of one guard share.
type streams struct {
	setAlarm    func(d time.Duration, f func()) alarm
	wall        trat.Clock // what deadlines of contexts are of; see Client
	expirations metric.Int64Counter
	by          map[string][]metric.AddOption // by action
	logs        *limitedLog
}

func (s *streams) init(meter metric.Meter) (err error) {
	if s.setAlarm == nil {
		s.setAlarm = setAlarm
	}
	s.wall = time.Now
	s.logs = newLimitedLog()
	s.by = make(map[string][]metric.AddOption)
	for _, action := range []string{
		semconv.StreamActionClosed, semconv.StreamActionDrained, semconv.StreamActionRenewed, semconv.StreamActionKept,
	} {
		set := attribute.NewSet(semconv.TokenStreamAction.String(action))
		s.by[action] = []metric.AddOption{metric.WithAttributeSet(set)}
	}
	s.expirations, err = semconv.StreamExpirations.Int64Counter(meter)
	return err
}

func (s *streams) count(ctx context.Context, action string) {
	s.expirations.Add(ctx, 1, s.by[action]...)
}

// reportEnd writes down that a stream has ended as its token has, or when its rule says.
func (s *Server) reportEnd(live *liveStream) {
	s.streams.count(live.ctx, semconv.StreamActionClosed)
	trace.SpanFromContext(live.ctx).SetAttributes(semconv.TokenStreamAction.String(semconv.StreamActionClosed))
	c := &live.current.Load().call
	attrs := []slog.Attr{
		slog.String(semconv.EventName, semconv.EventStreamExpired),
		slog.String(string(semconv.TokenStreamAction), semconv.StreamActionClosed),
		slog.String(string(semconv.RPCMethod), c.method.name),
		slog.String(string(semconv.ChainPeerID), peerName(c.peer)),
	}
	if c.token != nil {
		attrs = append(attrs,
			slog.String(string(semconv.TokenTxn), c.token.TransactionID()),
			slog.String(string(semconv.TokenFingerprint), c.token.Fingerprint()))
	}
	s.streams.logs.log(live.ctx, &s.settings, slog.LevelInfo, "a stream has come to the end that its TraT or its rule sets it", attrs...)
}
