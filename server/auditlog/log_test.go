package auditlog

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-42.
func TestLogWritesOneLine(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		record server.Record
		want   map[string]any
	}{
		"issued": {
			record: server.Record{
				Time: at, Requester: "spiffe://shop.test/gateway", TransactionID: "txn", Fingerprint: "hash",
				SubjectPseudonym: "pseudonym", SubjectPseudonymKey: "key", SubjectIssuer: "https://login.test", SubjectTokenType: "urn:t",
				Scope: "order.create", Rule: "gateway", PolicyVersion: "v", RequestID: "r", TokenSize: 620,
				IssuedAt: at, Expiry: at.Add(15 * time.Second), OutlivesSubject: true,
			},
			want: map[string]any{
				"time": "2026-11-22T12:00:00Z", "level": "INFO", "msg": "Transaction Token issued",
				"event.name": "txn_token.issued", "txn_token.req_wl": "spiffe://shop.test/gateway",
				"txn_token.txn": "txn", "txn_token.fingerprint": "hash", "enduser.pseudo.id": "pseudonym", "txn_token.pseudonym_key": "key",
				"txn_token.subject_issuer": "https://login.test", "txn_token.subject_token_type": "urn:t",
				"txn_token.scope": "order.create", "txn_token.policy_rule": "gateway", "txn_token.policy_version": "v",
				"txn_token.request_id": "r", "txn_token.issued_at": "2026-11-22T12:00:00Z", "txn_token.size": 620.0,
				"txn_token.expiry": "2026-11-22T12:00:15Z", "txn_token.outlives_subject": true,
				"txn_token.repeated": false, "txn_token.evaluation.failed_open": false,
			},
		},
		"replaced": {
			record: server.Record{
				Time: at, TransactionID: "txn", Fingerprint: "hash", ReplacedFingerprint: "old", ReplacementCount: 2,
				DroppedMembers: []string{"tctx.total"}, EvaluationPDP: "main", EvaluationFailedOpen: true,
			},
			want: map[string]any{
				"time": "2026-11-22T12:00:00Z", "level": "INFO", "msg": "Transaction Token replaced",
				"event.name": "txn_token.replaced", "txn_token.txn": "txn", "txn_token.fingerprint": "hash",
				"txn_token.replaced_fingerprint": "old", "txn_token.replacement_count": 2.0,
				"txn_token.dropped_members": []any{"tctx.total"}, "txn_token.evaluation.pdp": "main", "txn_token.evaluation.failed_open": true,
				"txn_token.repeated": false, "txn_token.outlives_subject": false,
			},
		},
		"refused": {
			record: server.Record{
				DecisionID: "0123456789abcdef", Time: at, Requester: "spiffe://shop.test/gateway",
				Reason: trat.ReasonParameterMissing, Parameters: []string{"request_details.order_id"}, Rule: "gateway", PolicyVersion: "v",
			},
			want: map[string]any{
				"time": "2026-11-22T12:00:00Z", "level": "WARN", "msg": "Transaction Token refused",
				"event.name": "txn_token.issuance.denied", "txn_token.decision_id": "0123456789abcdef", "error.type": "PARAMETER_MISSING",
				"txn_token.parameters": []any{"request_details.order_id"}, "txn_token.policy_rule": "gateway",
				"txn_token.req_wl": "spiffe://shop.test/gateway", "txn_token.policy_version": "v",
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var sink bytes.Buffer
			if err := NewLog(slog.New(slog.NewJSONHandler(&sink, nil))).Record(t.Context(), tc.record); err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(sink.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogReportsALevelThatIsDropped(t *testing.T) {
	handler := slog.NewJSONHandler(&bytes.Buffer{}, &slog.HandlerOptions{Level: slog.LevelError})
	if err := NewLog(slog.New(handler)).Record(t.Context(), server.Record{}); err == nil {
		t.Error("no error")
	}
}
