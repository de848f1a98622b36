package main

import (
	"io"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

// newAuditor opens the sinks of audit records. Close what it returns after the last record.
func newAuditor(cfg *config.Config, stderr io.Writer, logger *slog.Logger) (server.Auditor, func() error, error) {
	var sinks []server.Auditor
	done := func() error { return nil }
	if cfg.Audit.File == config.StandardError {
		// Whatever the log level.
		sinks = append(sinks, auditlog.NewLog(telemetry.NewLogger(stderr, slog.LevelInfo, formatOf(cfg))))
		return auditlog.Tee(sinks...), done, nil
	}
	file, err := auditlog.OpenFile(auditlog.FileConfig{Path: cfg.Audit.File, Logger: logger, Key: cfg.Audit.ChainKey.Bytes()})
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
