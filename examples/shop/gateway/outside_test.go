package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// Covers PRIV-06.
func TestOutsidersLearnNothingOfTheInside(t *testing.T) {
	secret := "spiffe://shop.test/payments refused spiffe://shop.test/orders"
	for _, tt := range []struct {
		err  error
		want codes.Code
	}{
		{&trat.Error{Reason: trat.ReasonSubjectTokenInvalid, Err: errors.New(secret)}, codes.Unauthenticated},
		{&trat.Error{Reason: trat.ReasonSubjectTokenExpired, Err: errors.New(secret)}, codes.Unauthenticated},
		{&trat.Error{Reason: trat.ReasonScopeExceeded, Err: errors.New(secret)}, codes.PermissionDenied},
		{&trat.Error{Reason: trat.ReasonSubjectScopeUnknown, Err: errors.New(secret)}, codes.PermissionDenied},
		{&trat.Error{Reason: trat.ReasonIssuanceDenied, Err: errors.New(secret)}, codes.Unavailable},
		{status.Error(codes.Internal, secret), codes.Unavailable},
		{status.Error(codes.PermissionDenied, secret), codes.Unavailable},
		{status.Error(codes.Unauthenticated, secret), codes.Unavailable},
		{status.Error(codes.InvalidArgument, secret), codes.InvalidArgument},
		{status.Error(codes.DeadlineExceeded, secret), codes.DeadlineExceeded},
		{fmt.Errorf("plain: %s", secret), codes.Unavailable},
	} {
		got := status.Convert(forOutsiders(t.Context(), tt.err))
		if got.Code() != tt.want {
			t.Errorf("%v: code %s, want %s", tt.err, got.Code(), tt.want)
		}
		if text := got.String(); strings.Contains(text, "spiffe") || len(got.Details()) > 0 {
			t.Errorf("%v: outsiders see %q with %v", tt.err, text, got.Details())
		}
	}
}
