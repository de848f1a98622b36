package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/policy"
)

func TestPolicyIsRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tratd.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(minimal)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "policy.yaml"); c.Policy != want {
		t.Errorf("policy %q", c.Policy)
	}
	write(strings.Replace(minimal, "policy.yaml", "/etc/tratd/policy.yaml", 1))
	if c, err = config.Load(path); err != nil || c.Policy != "/etc/tratd/policy.yaml" {
		t.Errorf("policy %v, %v", c, err)
	}
	if _, err = config.Load(filepath.Join(dir, "absent.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if _, err = config.Load(dir); err == nil {
		t.Error("no error for a directory")
	}
}

func TestFilesCanBeLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tratd.yaml")
	if err := os.WriteFile(path, documented(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err == nil || strings.Count(err.Error(), "no such file") != 6 {
		t.Errorf("with secrets that are not there: %v", err)
	}
	// A descriptor set is no secret. Who has it elsewhere can say so.
	if _, err := config.Load(path, config.WithoutFiles()); err == nil || strings.Count(err.Error(), "no such file") != 1 || !strings.Contains(err.Error(), "descriptors[0]") {
		t.Errorf("with descriptor sets that are not there: %v", err)
	}
	c, err := config.Load(path, config.WithoutFiles(), config.WithDescriptors(protoregistry.GlobalFiles))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Descriptors) != 1 || c.Descriptors[0] != policy.Descriptors(protoregistry.GlobalFiles) {
		t.Error("the descriptors are others than those that were given")
	}
	if c.Audit.ChainKey != nil || c.Audit.PseudonymKey != nil || c.Issuers[0].Introspection.PrivateKey != nil || c.Issuers[0].Introspection.ClientSecret != nil ||
		c.AccessEvaluation[0].CAs != nil {
		t.Error("there is what only files say")
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pdp.token", "t")
	write("pseudonym.key", pseudonymKey)
	write("tratd.yaml", minimal+`
access_evaluation: [{name: pdp, url: 'https://pdp.test/', bearer_token_file: pdp.token}]
audit: {file: audit.log, pseudonym_key_file: pseudonym.key}
`)
	c, err := config.Load(filepath.Join(dir, "tratd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Audit.File, filepath.Join(dir, "audit.log"); got != want {
		t.Errorf("audit file %q, want %q", got, want)
	}
	if got, want := c.AccessEvaluation[0].BearerTokenFile, filepath.Join(dir, "pdp.token"); got != want {
		t.Errorf("bearer token %q, want %q", got, want)
	}
}

func TestThePolicyIsJudgedBesideTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tratd.yaml")
	for name, tc := range map[string]struct {
		config, policy string
		want           []string
	}{
		"both are good":  {minimal, "version: 1\nrules: []\n", nil},
		"no policy file": {minimal, "", []string{"no such file"}},
		"both are bad":   {minimal + "x: 1\n", "version: 2\nrules: []\n", []string{"config: line 8: x: unknown key", "policy: line 1: version: want 1"}},
		"a policy that does not fit": {minimal, `version: 1
rules:
  - name: night
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [stock.count]
`, []string{"is not turned on in the configuration"}},
		"without its path": {"x: 1\n", "version: 2\n", []string{"policy: is required"}},
	} {
		t.Run(name, func(t *testing.T) {
			policy := filepath.Join(dir, "policy.yaml")
			if err := os.Remove(policy); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			for file, text := range map[string]string{path: tc.config, policy: tc.policy} {
				if text == "" {
					continue
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := config.Load(path, config.WithPolicy())
			if (err == nil) != (len(tc.want) == 0) || (c == nil) == (err == nil) {
				t.Fatalf("got %v, %v", c, err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}
