package servertest

import (
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/trat"
)

// realTokens are requests with a subject token that is verified indeed, and refused for
// what it is, or for what was done with it before.
func realTokens() map[string]Refusal {
	token := func(reason trat.Reason) map[string]string { return map[string]string{"subject_token": string(reason)} }
	return map[string]Refusal{
		"a self-signed token again": {
			As: Cron, Reason: trat.ReasonSubjectTokenReplayed, Fields: token(trat.ReasonSubjectTokenReplayed),
			Prepare: func(t testing.TB, w *World, r *request) {
				selfSigned(t, w, r, Cron)
				w.Issue(t, Cron, r)
			},
		},
		"a self-signed token of another workload": {
			As: Cron, Reason: trat.ReasonSubjectTokenInvalid, Fields: token(trat.ReasonSubjectTokenInvalid),
			Prepare: func(t testing.TB, w *World, r *request) { selfSigned(t, w, r, Desk) },
		},
		"a self-signed token that has expired": {
			As: Cron, Reason: trat.ReasonSubjectTokenExpired, Fields: token(trat.ReasonSubjectTokenExpired),
			Prepare: func(t testing.TB, w *World, r *request) {
				selfSigned(t, w, r, Cron)
				w.Clock.Advance(3 * time.Minute)
			},
		},
		"a TraT that may only begin": {
			As: Gateway, Reason: trat.ReasonIssuanceDenied, Prepare: replaces(nil),
		},
		"a TraT with more scope": {
			As: Tax, Reason: trat.ReasonScopeExceeded,
			Prepare: replaces(func(_ testing.TB, _ *World, r *request) { r.Scope = "order.create order.read" }),
		},
		"a TraT that has expired": {
			As: Tax, Reason: trat.ReasonSubjectTokenExpired, Fields: token(trat.ReasonSubjectTokenExpired),
			Prepare: replaces(func(_ testing.TB, w *World, _ *request) { w.Clock.Advance(trat.DefaultLifetime) }),
		},
		"a TraT that was changed": {
			As: Tax, Reason: trat.ReasonSubjectTokenInvalid, Fields: token(trat.ReasonSubjectTokenInvalid),
			Prepare: replaces(func(_ testing.TB, _ *World, r *request) {
				b := []byte(r.GetSubjectToken())
				b[len(b)-10] ^= 1
				r.SubjectToken = string(b)
			}),
		},
		"a TraT whose context would change": {
			As: Tax, Reason: trat.ReasonReplacementDenied,
			Prepare: replaces(func(t testing.TB, w *World, r *request) {
				r.RequestDetails = `{"tax": 19}`
				r.SubjectToken, r.CallChain = w.Issue(t, Tax, r), ""
				r.RequestDetails = `{"tax": 7}`
			}),
		},
		"a TraT without a receipt": {
			As: Tax, Reason: trat.ReasonReplacementDenied,
			Prepare: replaces(func(_ testing.TB, _ *World, r *request) { r.CallChain = "" }),
		},
		"a TraT with a receipt of another workload": {
			As: Tax, Reason: trat.ReasonReplacementDenied,
			Prepare: replaces(func(t testing.TB, w *World, r *request) {
				r.CallChain = w.Receipt(t, r.GetSubjectToken(), Gateway, Batch)
			}),
		},
		"a TraT with a receipt that is none": {
			As: Tax, Reason: trat.ReasonReplacementDenied,
			Prepare: replaces(func(_ testing.TB, _ *World, r *request) { r.CallChain = "AAAA" }),
		},
		"a TraT in a loop": {
			As: Tax, Reason: trat.ReasonReplacementLimit,
			Prepare: replaces(func(t testing.TB, w *World, r *request) {
				for range 2 {
					r.SubjectToken, r.CallChain = w.Issue(t, Tax, r), ""
				}
			}),
		},
	}
}

// selfSigned makes r a request with a token that the workload id has signed.
func selfSigned(t testing.TB, w *World, r *request, id spiffeid.ID) {
	t.Helper()
	svid, err := w.Authority.Source(id).GetX509SVID()
	check(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: svid.PrivateKey},
		(&jose.SignerOptions{}).WithType(trat.SubjectType))
	check(t, err)
	now := w.Clock.Now()
	raw, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": id.String(), "sub": "alice", "aud": Issuer, "jti": "1", "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
	}).Serialize()
	check(t, err)
	proto.Reset(r)
	proto.Merge(r, GoodRequest())
	r.Scope, r.RequestId = "order.read", ""
	r.SubjectToken, r.SubjectTokenType = raw, trat.TokenTypeSelfSigned
}

// replaces makes the request one of Tax to replace a TraT with which Gateway has called
// it, and then changes it.
func replaces(change func(testing.TB, *World, *request)) func(testing.TB, *World, *request) {
	return func(t testing.TB, w *World, r *request) {
		raw := w.Issue(t, Gateway, GoodRequest())
		proto.Reset(r)
		proto.Merge(r, w.Replace(t, raw, Tax))
		if change != nil {
			change(t, w, r)
		}
	}
}
