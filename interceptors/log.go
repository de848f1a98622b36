package interceptors

import (
	"context"
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Bounds of what is logged about repeated refusals. Metrics count them all.
const (
	logsPerSecond = 5
	logBurst      = 50
)

// limitedLog drops records beyond its rate and says in the next one how many.
type limitedLog struct {
	limiter    *rate.Limiter
	suppressed atomic.Int64
}

func newLimitedLog() *limitedLog {
	return &limitedLog{limiter: rate.NewLimiter(logsPerSecond, logBurst)}
}

// warn logs one record with a constant message.
func (l *limitedLog) warn(ctx context.Context, s *settings, message string, attrs ...slog.Attr) {
	l.log(ctx, s, slog.LevelWarn, message, attrs...)
}

func (l *limitedLog) log(ctx context.Context, s *settings, level slog.Level, message string, attrs ...slog.Attr) {
	if !s.logger.Enabled(ctx, level) {
		return
	}
	if !l.limiter.AllowN(s.clock(), 1) {
		l.suppressed.Add(1)
		return
	}
	if n := l.suppressed.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("suppressed", n))
	}
	s.logger.LogAttrs(ctx, level, message, attrs...)
}
