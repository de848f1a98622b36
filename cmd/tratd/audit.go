package main

import (
	"errors"
	"io"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

// newAuditor opens the sinks of audit records. Close what it returns after the last record.
func newAuditor(cfg *config.Config, stderr io.Writer, logger *slog.Logger, providers *telemetry.Providers) (server.Auditor, func() error, error) {
	var sinks []server.Auditor
	done := func() error { return nil }
	if cfg.Audit.OTLP {
		if !providers.LogsExported {
			return nil, nil, errors.New("audit.otlp is true, but the environment does not have logs exported: set OTEL_EXPORTER_OTLP_ENDPOINT")
		}
		sinks = append(sinks, auditlog.NewOTLP(providers.Logger))
	}
	if cfg.Audit.File == config.StandardError {
		// Whatever the log level.
		sinks = append(sinks, auditlog.NewLog(telemetry.NewLogger(stderr, slog.LevelInfo, formatOf(cfg))))
		return auditlog.Tee(sinks...), done, nil
	}
	file, err := auditlog.OpenFile(auditlog.FileConfig{
		Path: cfg.Audit.File, Logger: logger, Key: cfg.Audit.ChainKey.Bytes(), Sync: cfg.Audit.Sync, MaxSize: cfg.Audit.MaxSize,
	})
	if err != nil {
		return nil, nil, err
	}
	return auditlog.Tee(append(sinks, file)...), file.Close, nil
}

// formatOf is how log records are written.
func formatOf(cfg *config.Config) telemetry.LogFormat {
	if cfg.Log.JSON {
		return telemetry.JSON
	}
	return telemetry.Text
}
