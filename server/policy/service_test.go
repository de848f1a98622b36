package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

func service() policy.Service {
	return policy.Service{
		TrustDomain: gateway.TrustDomain(),
		SubjectTokens: map[string][]string{
			trat.TokenTypeAccessToken: {"https://login.test"},
			trat.TokenTypeIDToken:     {"https://shop-login.test"},
			trat.TokenTypeSelfSigned:  nil,
			"urn:own:type":            {"https://own.test"},
		},
		PDPs: []string{"central"},
	}
}

// Covers TTS-16, TTS-38, REPL-01.
func TestWhatCanNeverApplyInAServiceIsAProblem(t *testing.T) {
	_, err := policy.ParseFor([]byte(`version: 1
rules:
  - name: elsewhere
    requester: spiffe://other.test/*/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    issuers:
      - https://login.test
      - https://login.test/
    scopes: {a: [b]}
  - name: types
    requester: spiffe://shop.test/batch
    subject_tokens:
      - urn:ietf:params:oauth:token-type:self_signed
      - urn:ietf:params:oauth:token-type:unsigned_json
      - urn:x:vm
    impersonation: true
    grants: [c]
  - name: issuer-of-others
    requester: spiffe://shop.test/front
    subject_tokens: [urn:ietf:params:oauth:token-type:id_token]
    issuers: ['https://login.test']
    grants: [c]
    lifetime: 1h
  - name: asks-nobody
    requester: spiffe://shop.test/desk
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {a: [b]}
    access_evaluation: {pdp: local}
  - name: replaces
    requester: spiffe://shop.test/tax
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    replacement: {scopes: [c]}
`), service())
	want := `policy: line 4: rule "elsewhere": requester: is not in the trust domain shop.test: no such workload can call
policy: line 8: rule "elsewhere": issuers: "https://login.test/" is not an issuer in the configuration
policy: line 14: rule "types": subject_tokens: "urn:ietf:params:oauth:token-type:unsigned_json" is not turned on in the configuration: the service accepts no such token
policy: line 15: rule "types": subject_tokens: "urn:x:vm" is not a type that the service knows
policy: line 23: rule "issuer-of-others": lifetime: is above 5m0s, the most that any TraT lives
policy: line 21: rule "issuer-of-others": issuers: "https://login.test" is configured, but for none of these subject_tokens
policy: line 28: rule "asks-nobody": access_evaluation.pdp: "local" is not a policy decision point in the configuration
policy: line 31: rule "replaces": subject_tokens: "urn:ietf:params:oauth:token-type:txn_token" is not turned on in the configuration: the service accepts no such token`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestAPolicyForWhatTheServiceAcceptsIsGood(t *testing.T) {
	p, err := policy.ParseFor([]byte(`version: 1
rules:
  - name: users
    requester: spiffe://shop.test/*/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token, urn:own:type]
    issuers: [https://login.test, https://own.test]
    scopes: {a: [b]}
    access_evaluation: {pdp: central, on_error: allow}
  - name: own-account
    requester: spiffe://shop.test/batch
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token, urn:ietf:params:oauth:token-type:self_signed]
    issuers: [https://login.test, spiffe://shop.test/batch]
    grants: [c]
`), service())
	if err != nil || p.Version() == "" {
		t.Errorf("ParseFor = %v", err)
	}
}
