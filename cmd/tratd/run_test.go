package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

func TestCommandLine(t *testing.T) {
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", "")
	good := strings.Replace(configText, "ISSUER", "https://login.shop.test", 1)
	tests := map[string]struct {
		args   []string
		status int
		stdout string
		stderr []string
	}{
		"version":         {args: []string{"-version"}, stdout: "tratd "},
		"help":            {args: []string{"-help"}, stderr: []string{"-check-config"}},
		"no file":         {status: 2, stderr: []string{"-config is required"}},
		"unknown flag":    {args: []string{"-insecure"}, status: 2, stderr: []string{"-insecure"}},
		"an argument":     {args: []string{"serve"}, status: 2, stderr: []string{`takes no argument "serve"`}},
		"absent file":     {args: []string{"-config", filepath.Join(t.TempDir(), "absent")}, status: 1, stderr: []string{"no such file"}},
		"good files":      {args: []string{"-config", writeFiles(t, good, policyText), "-check-config"}, stdout: "configuration and policy are good"},
		"no workload API": {args: []string{"-config", writeFiles(t, good, policyText)}, status: 1, stderr: []string{"SPIFFE_ENDPOINT_SOCKET"}},
		"bad configuration": {
			args:   []string{"-config", writeFiles(t, "version: 1\nlisten: 8443\ntrust_domain: X\n", policyText)},
			status: 1,
			stderr: []string{"line 2: listen: want text", "line 3: trust_domain", "issuer: is required", "spiffe_id: is required", "policy: is required"},
		},
		"bad policy": {
			args:   []string{"-config", writeFiles(t, good, "version: 1\nrules:\n  - {name: a}\n  - {nam: b}\n"), "-check-config"},
			status: 1,
			stderr: []string{`line 3: rule "a": requester`, "line 4", "nam"},
		},
		"a policy that does not fit": {
			args: []string{"-config", writeFiles(t, good, strings.NewReplacer(
				"spiffe://shop.test", "spiffe://other.test", ":access_token]", ":id_token]\n    issuers: [https://login.test]", "scopes: {orders:write: [order.create]}", "grants: [order.create]",
			).Replace(policyText)), "-check-config"},
			status: 1,
			stderr: []string{
				`line 6: rule "gateway-night": requester: is not in the trust domain shop.test`,
				`line 11: rule "gateway-orders": subject_tokens: "urn:ietf:params:oauth:token-type:id_token" is not turned on`,
			},
		},
		"a policy that does not fit, at start": {
			args:   []string{"-config", writeFiles(t, good, policyText+"    issuers: [https://login.test]\n")},
			status: 1,
			stderr: []string{`line 14: rule "gateway-orders": issuers: "https://login.test" is not an issuer in the configuration`},
		},
		"self-signed subjects that are off": {
			args:   []string{"-config", writeFiles(t, withoutSubjectTokens(), selfSignedPolicy), "-check-config"},
			status: 1,
			stderr: []string{`line 7: rule "gateway-night": subject_tokens: "urn:ietf:params:oauth:token-type:self_signed" is not turned on`},
		},
		"every part": {
			args:   []string{"-config", writeEverything(t, "https://login.shop.test", "http://127.0.0.1:1"), "-check-config"},
			stdout: "configuration and policy are good",
		},
		"secrets that are not there, or not kept": {
			args: []string{"-config", writeFiles(t, strings.NewReplacer("ISSUER", "https://login.shop.test", "PDP", "http://127.0.0.1:1", "chain.key", "policy.yaml").
				Replace(everything), everyPolicy), "-check-config"},
			status: 1,
			stderr: []string{
				"access_evaluation[0].bearer_token_file: ", "no such file", "audit.chain_key_file: want 64 hexadecimal digits",
				"audit.pseudonym_key_file: want 64 hexadecimal digits",
			},
		},
		"a PDP that is not there": {
			args: []string{"-config", writeFiles(t, good, "version: 1\nrules:\n  - name: a\n    requester: spiffe://shop.test/gateway\n"+
				"    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]\n    grants: [b]\n    access_evaluation: {pdp: other}\n"), "-check-config"},
			status: 1,
			stderr: []string{`"other" is not a policy decision point in the configuration`},
		},
		"audit records to a collector that is not there": {
			args:   []string{"-config", writeFiles(t, withoutSubjectTokens()+"audit: {otlp: true}\n", noRules)},
			status: 1,
			stderr: []string{"audit.otlp is true, but the environment does not have logs exported"},
		},
		"both files are bad": {
			args:   []string{"-config", writeFiles(t, good+"x: 1\n", "version: 2\nrules: []\n"), "-check-config"},
			status: 1,
			stderr: []string{"config: line 16: x: ", "policy: line 1: version: want 1"},
		},
		"bad policy at start": {
			args:   []string{"-config", writeFiles(t, good, "rules: []")},
			status: 1,
			stderr: []string{"policy: "},
		},
		"no policy": {
			args:   []string{"-config", writeFiles(t, strings.Replace(good, "policy.yaml", "absent.yaml", 1), ""), "-check-config"},
			status: 1,
			stderr: []string{"policy: ", "no such file"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := execute(t.Context(), tc.args, &stdout, &stderr); got != tc.status {
				t.Errorf("exit status %d, want %d", got, tc.status)
			}
			if !strings.HasPrefix(stdout.String(), tc.stdout) {
				t.Errorf("stdout %q, want %q", stdout.String(), tc.stdout)
			}
			for _, want := range tc.stderr {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("%q is not in stderr:\n%s", want, stderr.String())
				}
			}
		})
	}
}

func TestSVIDOfAnotherWorkloadIsRefused(t *testing.T) {
	newAuthority(t, spiffeid.RequireFromString("spiffe://shop.test/somebody"))
	var stderr bytes.Buffer
	err := run(t.Context(), []string{"-config", writeFiles(t, withoutSubjectTokens(), noRules)}, &stderr, &stderr)
	if err == nil || !strings.Contains(err.Error(), `this process is "spiffe://shop.test/somebody"`) {
		t.Errorf("got %v", err)
	}
}
