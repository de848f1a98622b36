package main

import (
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/realip"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
)

// requestContext is what the gateway knows about the request that the user did not
// choose: where it came from, how it was authenticated, over what. The token
// service's policy says which of it goes into the token.
func requestContext(ctx context.Context) map[string]any {
	environment := map[string]any{"authn": "oauth2_bearer"}
	if ip, ok := realip.FromContext(ctx); ok {
		environment["ip"] = ip.String()
	}
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			environment["transport"] = tls.VersionName(info.State.Version)
		}
	}
	return environment
}

// exchangeFailed turns an error of the token exchange into one that a user may see: a
// code and a constant sentence. Names, identities and reasons of the inside go to the
// log only. What the token service says about the access token is about the user's.
func exchangeFailed(ctx context.Context, err error) error {
	logFailure(ctx, "no transaction was started", err)
	reason, _ := interceptors.ReasonFrom(err)
	switch reason {
	case trat.ReasonSubjectTokenInvalid, trat.ReasonSubjectTokenExpired:
		return status.Error(codes.Unauthenticated, "the access token is not accepted")
	case trat.ReasonScopeExceeded, trat.ReasonSubjectScopeUnknown:
		return status.Error(codes.PermissionDenied, "the access token does not permit this")
	default:
		return byCode(status.Code(err))
	}
}

// orderFailed does the same for an error of the services behind. Whatever those say
// about a token, or about their own exchanges, is not about the user's access token.
func orderFailed(ctx context.Context, err error) error {
	logFailure(ctx, "the order was not placed", err)
	return byCode(status.Code(err))
}

// logFailure logs err with its reason, whether it was made here or received.
func logFailure(ctx context.Context, message string, err error) {
	reason, _ := interceptors.ReasonFrom(err)
	slog.WarnContext(ctx, message, "reason", reason, "error", err)
}

func byCode(code codes.Code) error {
	switch code {
	case codes.InvalidArgument, codes.NotFound:
		return status.Error(code, "the order cannot be placed as requested")
	case codes.Canceled, codes.DeadlineExceeded:
		return status.Error(code, "the request ended before the order was placed")
	default:
		return status.Error(codes.Unavailable, "the shop cannot take this order now")
	}
}
