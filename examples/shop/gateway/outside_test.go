package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/trat"
)

func TestRequestContextSaysWhatTheGatewayKnows(t *testing.T) {
	ctx := peer.NewContext(t.Context(), &peer.Peer{
		Addr:     &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1},
		AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{Version: tls.VersionTLS13}},
	})
	want := map[string]any{"authn": "oauth2_bearer", "transport": "TLS 1.3"}
	if diff := cmp.Diff(want, requestContext(ctx)); diff != "" {
		t.Errorf("request context without realip (-want +got):\n%s", diff)
	}
}

// refusal is a guard's or a token service's answer, as a called service passes it on.
func refusal(t *testing.T, code codes.Code, reason trat.Reason, secret string) error {
	t.Helper()
	st, err := status.New(code, secret).WithDetails(&errdetails.ErrorInfo{Domain: "trat.v1", Reason: string(reason)})
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

// Covers PRIV-06.
func TestOutsidersLearnNothingOfTheInside(t *testing.T) {
	const secret = "spiffe://shop.test/payments refused spiffe://shop.test/orders"
	local := func(reason trat.Reason) error { return &trat.Error{Reason: reason, Err: errors.New(secret)} }
	received := func(code codes.Code, reason trat.Reason) error { return refusal(t, code, reason, secret) }
	for name, tt := range map[string]struct {
		err             error
		exchange, order codes.Code
	}{
		"subject token invalid":   {local(trat.ReasonSubjectTokenInvalid), codes.Unauthenticated, codes.Unavailable},
		"subject token expired":   {local(trat.ReasonSubjectTokenExpired), codes.Unauthenticated, codes.Unavailable},
		"scope exceeded":          {local(trat.ReasonScopeExceeded), codes.PermissionDenied, codes.Unavailable},
		"subject scope unknown":   {local(trat.ReasonSubjectScopeUnknown), codes.PermissionDenied, codes.Unavailable},
		"issuance denied":         {local(trat.ReasonIssuanceDenied), codes.Unavailable, codes.Unavailable},
		"received scope exceeded": {received(codes.PermissionDenied, trat.ReasonScopeExceeded), codes.PermissionDenied, codes.Unavailable},
		"received peer denied":    {received(codes.PermissionDenied, trat.ReasonPeerDenied), codes.Unavailable, codes.Unavailable},
		"received rejection":      {received(codes.Internal, trat.ReasonDownstreamRejected), codes.Unavailable, codes.Unavailable},
		"internal":                {status.Error(codes.Internal, secret), codes.Unavailable, codes.Unavailable},
		"permission denied":       {status.Error(codes.PermissionDenied, secret), codes.Unavailable, codes.Unavailable},
		"unauthenticated":         {status.Error(codes.Unauthenticated, secret), codes.Unavailable, codes.Unavailable},
		"invalid argument":        {status.Error(codes.InvalidArgument, secret), codes.InvalidArgument, codes.InvalidArgument},
		"deadline exceeded":       {status.Error(codes.DeadlineExceeded, secret), codes.DeadlineExceeded, codes.DeadlineExceeded},
		"plain":                   {fmt.Errorf("plain: %s", secret), codes.Unavailable, codes.Unavailable},
	} {
		for _, answer := range []struct {
			of   string
			got  error
			want codes.Code
		}{
			{"exchange", exchangeFailed(t.Context(), tt.err), tt.exchange},
			{"order", orderFailed(t.Context(), tt.err), tt.order},
		} {
			got := status.Convert(answer.got)
			if got.Code() != answer.want {
				t.Errorf("%s, %s: code %s, want %s", name, answer.of, got.Code(), answer.want)
			}
			if text := got.String(); strings.Contains(text, "spiffe") || len(got.Details()) > 0 {
				t.Errorf("%s, %s: outsiders see %q with %v", name, answer.of, text, got.Details())
			}
		}
	}
}

// The reason of a refusal between the services behind is in their statuses, not in
// their error values.
func TestTheReasonOfARefusalBehindIsLogged(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	_ = orderFailed(t.Context(), refusal(t, codes.Internal, trat.ReasonDownstreamRejected, "x"))
	if !strings.Contains(log.String(), "reason=DOWNSTREAM_REJECTED") {
		t.Errorf("not in the log: %s", log.String())
	}
}
