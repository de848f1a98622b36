package servertest

import (
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Issuer is the iss of the World's tokens.
const Issuer = "https://tts.shop.test"

// TrustDomain is that of the World.
var TrustDomain = spiffeid.RequireTrustDomainFromString("shop.test")

// Workloads of TrustDomain. All but TTS and Stranger have a rule in the policy.
var (
	TTS        = spiffeid.RequireFromPath(TrustDomain, "/tts")
	Gateway    = spiffeid.RequireFromPath(TrustDomain, "/gateway")
	LongRunner = spiffeid.RequireFromPath(TrustDomain, "/long-runner")
	Tax        = spiffeid.RequireFromPath(TrustDomain, "/tax")
	Batch      = spiffeid.RequireFromPath(TrustDomain, "/batch")
	Desk       = spiffeid.RequireFromPath(TrustDomain, "/desk")
	Cron       = spiffeid.RequireFromPath(TrustDomain, "/cron")
	Stranger   = spiffeid.RequireFromPath(TrustDomain, "/stranger")
)

// Start is when a World begins.
var Start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// PolicyText is the policy that a World begins with.
const PolicyText = `
version: 1
claims: {email: string}
details: {order_id: any, note: any, tax: int, total: int, heads: int}
context: {ip: any, authn: string}
rules:
  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes:
      orders:write: [order.create, order.read]
    tctx: {order_id: details.order_id, note: optional details.note}
    rctx: {ip: optional context.ip, authn: optional context.authn, channel: {value: web}}
  - name: gateway-login
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:id_token]
    grants: [login.only]
  - name: long
    requester: spiffe://shop.test/long-runner
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [report.run]}
    lifetime: 60s
    allow_outlive: true
  - name: tax
    requester: spiffe://shop.test/tax
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    tctx: {tax: optional details.tax}
    replacement: {scopes: [order.create, order.read]}
  - name: batch
    requester: spiffe://shop.test/batch
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    lifetime: 30s
    replacement: {scopes: [order.create, order.read], extend_lifetime: true, max_count: 3, max_age: 50s, max_visits: 2}
  - name: desk
    requester: spiffe://shop.test/desk
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [desk.read]}
    tctx: {per_head: {compute: details.total / details.heads, optional: true}}
    rctx: {user: {from: claims.email, pseudonym: true}}
    access_evaluation: {pdp: central}
  - name: desk-when-alone
    requester: spiffe://shop.test/desk
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [desk.look]}
    access_evaluation: {pdp: central, on_error: allow}
  - name: desk-notes
    requester: spiffe://shop.test/desk
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [desk.note]}
    tctx: {note: details.note}
    rctx: {about: {from: details.note, pseudonym: true}}
    access_evaluation: {pdp: central}
  - name: cron
    requester: spiffe://shop.test/cron
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [order.read]
`

// SubjectToken looks like an access token to whoever greps for one. Access takes
// it for alice's.
const SubjectToken = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLnRlc3QiLCJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"

// GoodRequest is one of Gateway that the policy grants.
func GoodRequest() *tratv1.ExchangeRequest {
	return &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           TrustDomain.Name(),
		Scope:              "order.create",
		RequestedTokenType: trat.TokenType,
		SubjectToken:       SubjectToken,
		SubjectTokenType:   trat.TokenTypeAccessToken,
		RequestContext:     `{"ip": "192.0.2.1", "ssn": "secret"}`,
		RequestDetails:     `{"order_id": 9007199254740993, "other": "dropped"}`,
		RequestId:          "req-1",
	}
}

// Replace is a request to replace the TraT raw, that of GoodRequest, by the workload that
// requested raw: without a receipt.
func Replace(raw string) *tratv1.ExchangeRequest {
	return &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           TrustDomain.Name(),
		Scope:              "order.create",
		RequestedTokenType: trat.TokenType,
		SubjectToken:       raw,
		SubjectTokenType:   trat.TokenType,
	}
}
