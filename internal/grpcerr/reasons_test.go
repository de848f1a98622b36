package grpcerr_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// declaredReasons reads the constants of type Reason from the source of package
// trat: a new one cannot be forgotten here.
func declaredReasons(t *testing.T) []trat.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../trat/reason.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []trat.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if ident, ok := spec.Type.(*ast.Ident); !ok || ident.Name != "Reason" {
			return true
		}
		for _, v := range spec.Values {
			lit, ok := v.(*ast.BasicLit)
			if !ok {
				t.Fatalf("constant %v is not a string literal", spec.Names)
			}
			word, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, trat.Reason(word))
		}
		return true
	})
	return reasons
}

func enumReasons() []trat.Reason {
	var reasons []trat.Reason
	for number, name := range tratv1.Reason_name {
		if number != int32(tratv1.Reason_REASON_UNSPECIFIED) {
			reasons = append(reasons, trat.Reason(strings.TrimPrefix(name, "REASON_")))
		}
	}
	return reasons
}

func TestReasonConstantsAndEnumAreOneToOne(t *testing.T) {
	constants, enum := declaredReasons(t), enumReasons()
	if len(constants) == 0 {
		t.Fatal("no constants found in trat/reason.go")
	}
	slices.Sort(constants)
	slices.Sort(enum)
	if diff := cmp.Diff(enum, constants); diff != "" {
		t.Errorf("enum and constants differ (-enum +constants):\n%s", diff)
	}
}

// Covers ERR-01, ERR-02, ERR-03, ERR-04, ERR-05, ERR-06, ERR-07, ERR-08, ERR-09, ERR-10, ERR-11, ERR-12, ERR-14, ERR-15.
func TestEveryReasonHasCodeMessageAndErrorInfo(t *testing.T) {
	want := map[codes.Code][]trat.Reason{
		codes.Unauthenticated: {
			"TXN_TOKEN_MISSING", "TXN_TOKEN_MALFORMED", "TXN_TOKEN_INVALID", "TXN_TOKEN_EXPIRED", "TXN_TOKEN_AUDIENCE",
			"CLIENT_UNAUTHENTICATED", "PEER_SVID_EXPIRED",
		},
		codes.PermissionDenied: {
			"INSUFFICIENT_SCOPE", "POLICY_DENIED", "PEER_DENIED",
			"CHAIN_MISSING", "CHAIN_LINK_INVALID", "CHAIN_PEER_MISMATCH", "CHAIN_ROOT_MISMATCH", "CHAIN_TOO_DEEP", "CHAIN_REPLAYED",
			"EGRESS_BLOCKED", "SCOPE_EXCEEDED", "SUBJECT_SCOPE_UNKNOWN", "ISSUANCE_DENIED", "REPLACEMENT_DENIED", "REPLACEMENT_LIMIT",
		},
		codes.InvalidArgument: {
			"PARAMETER_MISSING", "PARAMETER_INVALID", "GRANT_TYPE_UNSUPPORTED", "AUDIENCE_NOT_SERVED", "SCOPE_MALFORMED",
			"SUBJECT_TOKEN_INVALID", "SUBJECT_TOKEN_EXPIRED", "SUBJECT_TOKEN_TYPE_UNSUPPORTED", "SUBJECT_TOKEN_REPLAYED",
		},
		codes.Unavailable:       {"KEYS_UNAVAILABLE", "POLICY_UNAVAILABLE", "COVERAGE_UNCHECKED", "DEPENDENCY_UNAVAILABLE"},
		codes.ResourceExhausted: {"METADATA_TOO_LARGE", "TOKEN_TOO_LARGE", "RATE_LIMITED"},
		codes.Internal:          {"CLIENT_METADATA_CONFLICT", "DOWNSTREAM_REJECTED", "INTERNAL"},
	}
	retry := []trat.Reason{"KEYS_UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", "RATE_LIMITED"}
	errorInfoReason := regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,61}[A-Z0-9]$`) // AIP-193

	got := make(map[codes.Code][]trat.Reason)
	messages := make(map[string]trat.Reason)
	for _, reason := range declaredReasons(t) {
		st := grpcerr.Status(reason)
		got[st.Code()] = append(got[st.Code()], reason)
		if st.Code() != grpcerr.Code(reason) {
			t.Errorf("%s: Status has code %s, Code gives %s", reason, st.Code(), grpcerr.Code(reason))
		}
		if st.Message() == "" || messages[st.Message()] != "" {
			t.Errorf("%s: message %q is empty or that of %s", reason, st.Message(), messages[st.Message()])
		}
		messages[st.Message()] = reason

		var info *errdetails.ErrorInfo
		var hasRetry bool
		for _, d := range st.Details() {
			switch d := d.(type) {
			case *errdetails.ErrorInfo:
				info = d
			case *errdetails.RetryInfo:
				hasRetry = d.GetRetryDelay().AsDuration() > 0
			}
		}
		if info.GetReason() != string(reason) || info.GetDomain() != "trat.v1" || !errorInfoReason.MatchString(info.GetReason()) {
			t.Errorf("%s: ErrorInfo %v", reason, info)
		}
		if len(info.GetMetadata()) != 0 {
			t.Errorf("%s: ErrorInfo has metadata", reason)
		}
		if hasRetry != slices.Contains(retry, reason) {
			t.Errorf("%s: RetryInfo present = %t", reason, hasRetry)
		}
		if back, ok := grpcerr.ReasonFrom(st.Err()); !ok || back != reason {
			t.Errorf("%s: read back as %q, %t", reason, back, ok)
		}
	}
	for _, reasons := range []map[codes.Code][]trat.Reason{want, got} {
		for _, r := range reasons {
			slices.Sort(r)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func TestReasonsOfCallCredentialsHaveCodesThatGRPCLetsThrough(t *testing.T) {
	barred := []codes.Code{ // gRFC A54
		codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition,
		codes.Aborted, codes.OutOfRange, codes.DataLoss,
	}
	for _, reason := range []trat.Reason{
		trat.ReasonTxnTokenMissing, trat.ReasonTxnTokenExpired, trat.ReasonEgressBlocked,
		trat.ReasonMetadataTooLarge, trat.ReasonClientMetadataConflict,
	} {
		if code := grpcerr.Code(reason); slices.Contains(barred, code) {
			t.Errorf("%s has code %s, which a call credential may not return", reason, code)
		}
	}
}
