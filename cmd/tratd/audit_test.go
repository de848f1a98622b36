package main

import (
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
)

func TestTheAuditLogIsKeptAsConfigured(t *testing.T) {
	for name, sync := range map[string]auditlog.SyncMode{"periodic": auditlog.SyncPeriodic, "record": auditlog.SyncRecord, "never": auditlog.SyncNever} {
		t.Run(name, func(t *testing.T) {
			const maxSize = 64 << 10
			path := filepath.Join(t.TempDir(), "audit.log")
			cfg := &config.Config{Audit: config.Audit{File: path, Sync: sync, MaxSize: maxSize}}
			auditor, done, err := newAuditor(cfg, io.Discard, slog.New(slog.DiscardHandler), &telemetry.Providers{})
			if err != nil {
				t.Fatal(err)
			}
			const records = 2 * maxSize / 256 // a line is longer than its hashes
			for range records {
				if err := auditor.Record(t.Context(), server.Record{DecisionID: "d", Time: time.Unix(1_800_000_000, 0), Reason: "ISSUANCE_DENIED"}); err != nil {
					t.Fatal(err)
				}
			}
			if err := done(); err != nil {
				t.Fatal(err)
			}
			files, err := auditlog.Files(path)
			if err != nil || len(files) < 2 {
				t.Fatalf("files %q, %v", files, err)
			}
			if report, err := auditlog.VerifyFiles(files, auditlog.VerifyOptions{}); err != nil || report.Records != records {
				t.Errorf("report %+v, %v", report, err)
			}
		})
	}
}
