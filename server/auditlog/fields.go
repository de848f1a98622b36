package auditlog

import (
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server"
)

// field is how one field of a server.Record is written, the same by every sink. The
// record's Time is not among them: each sink has a place of its own for it.
type field struct {
	name  string // in server.Record
	key   string
	value func(*server.Record) (v slog.Value, present bool)
}

// fields are in the order in which they are written. Each field of server.Record has one
// row, which a test checks.
var fields = [...]field{
	text("DecisionID", semconv.TokenDecisionID, func(r *server.Record) string { return r.DecisionID }),
	text("Reason", semconv.ErrorType, func(r *server.Record) string { return string(r.Reason) }),
	list("Parameters", semconv.TokenParameters, func(r *server.Record) []string { return r.Parameters }),
	number("OmittedRefusals", semconv.TokenOmittedRefusals, func(r *server.Record) int { return r.OmittedRefusals }),
	text("Requester", semconv.TokenReqWL, func(r *server.Record) string { return r.Requester }),
	text("SubjectTokenType", semconv.TokenSubjectTokenType, func(r *server.Record) string { return r.SubjectTokenType }),
	text("SubjectIssuer", semconv.TokenSubjectIssuer, func(r *server.Record) string { return r.SubjectIssuer }),
	text("SubjectPseudonym", semconv.EnduserPseudoID, func(r *server.Record) string { return r.SubjectPseudonym }),
	text("SubjectPseudonymKey", semconv.TokenPseudonymKey, func(r *server.Record) string { return r.SubjectPseudonymKey }),
	text("TransactionID", semconv.TokenTxn, func(r *server.Record) string { return r.TransactionID }),
	text("Fingerprint", semconv.TokenFingerprint, func(r *server.Record) string { return r.Fingerprint }),
	number("TokenSize", semconv.TokenSize, func(r *server.Record) int { return r.TokenSize }),
	text("ReplacedFingerprint", semconv.TokenReplacedFingerprint, func(r *server.Record) string { return r.ReplacedFingerprint }),
	number("ReplacementCount", semconv.TokenReplacementCount, func(r *server.Record) int { return r.ReplacementCount }),
	text("ChainResult", semconv.ChainResult, func(r *server.Record) string { return r.ChainResult }),
	text("ChainLinkHash", semconv.ChainLinkHash, func(r *server.Record) string { return r.ChainLinkHash }),
	number("ChainLinks", semconv.ChainLinkCount, func(r *server.Record) int { return r.ChainLinks }),
	flag("Repeated", semconv.TokenRepeated, func(r *server.Record) bool { return r.Repeated }),
	text("Scope", semconv.TokenScope, func(r *server.Record) string { return r.Scope }),
	instant("IssuedAt", semconv.TokenIssuedAt, func(r *server.Record) time.Time { return r.IssuedAt }),
	instant("Expiry", semconv.TokenExpiry, func(r *server.Record) time.Time { return r.Expiry }),
	flag("OutlivesSubject", semconv.TokenOutlivesSubject, func(r *server.Record) bool { return r.OutlivesSubject }),
	text("Rule", semconv.TokenPolicyRule, func(r *server.Record) string { return r.Rule }),
	list("DroppedMembers", semconv.TokenDroppedMembers, func(r *server.Record) []string { return r.DroppedMembers }),
	text("EvaluationPDP", semconv.TokenEvaluationPDP, func(r *server.Record) string { return r.EvaluationPDP }),
	flag("EvaluationFailedOpen", semconv.TokenEvaluationFailedOpen, func(r *server.Record) bool { return r.EvaluationFailedOpen }),
	text("PolicyVersion", semconv.TokenPolicyVersion, func(r *server.Record) string { return r.PolicyVersion }),
	text("RequestID", semconv.TokenRequestID, func(r *server.Record) string { return r.RequestID }),
}

func text(name string, key attribute.Key, get func(*server.Record) string) field {
	return field{name, string(key), func(r *server.Record) (slog.Value, bool) {
		s := get(r)
		return slog.StringValue(s), s != ""
	}}
}

func number(name string, key attribute.Key, get func(*server.Record) int) field {
	return field{name, string(key), func(r *server.Record) (slog.Value, bool) {
		n := get(r)
		return slog.IntValue(n), n != 0
	}}
}

// flag is a field that the record of an issued token has either way.
func flag(name string, key attribute.Key, get func(*server.Record) bool) field {
	return field{name, string(key), func(r *server.Record) (slog.Value, bool) {
		b := get(r)
		return slog.BoolValue(b), b || r.Issued()
	}}
}

func instant(name string, key attribute.Key, get func(*server.Record) time.Time) field {
	return field{name, string(key), func(r *server.Record) (slog.Value, bool) {
		t := get(r)
		return slog.TimeValue(t), !t.IsZero()
	}}
}

func list(name string, key attribute.Key, get func(*server.Record) []string) field {
	return field{name, string(key), func(r *server.Record) (slog.Value, bool) {
		l := get(r)
		return slog.AnyValue(l), len(l) > 0
	}}
}

// event returns the event that a record is of, its level, and its constant message.
func event(r *server.Record) (name string, level slog.Level, message string) {
	switch {
	case !r.Issued():
		return semconv.EventIssuanceDenied, slog.LevelWarn, "Transaction Token refused"
	case r.ReplacedFingerprint != "":
		return semconv.EventReplaced, slog.LevelInfo, "Transaction Token replaced"
	default:
		return semconv.EventIssued, slog.LevelInfo, "Transaction Token issued"
	}
}
