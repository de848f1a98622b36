package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/config"
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
	c, policy, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "policy.yaml"); c.Policy != want || policy != want {
		t.Errorf("policy %q and %q", c.Policy, policy)
	}
	write(strings.Replace(minimal, "policy.yaml", "/etc/tratd/policy.yaml", 1))
	if c, _, err = config.Load(path); err != nil || c.Policy != "/etc/tratd/policy.yaml" {
		t.Errorf("policy %v, %v", c, err)
	}
	write("x: 1\npolicy: p.yaml\n")
	if c, policy, err = config.Load(path); err == nil || c != nil || policy != filepath.Join(dir, "p.yaml") {
		t.Errorf("a bad file: %v, policy %q, %v", c, policy, err)
	}
	write("- x")
	if _, policy, err = config.Load(path); err == nil || policy != "" {
		t.Errorf("a file without keys: policy %q, %v", policy, err)
	}
	if _, _, err = config.Load(filepath.Join(dir, "absent.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if _, _, err = config.Load(dir); err == nil {
		t.Error("no error for a directory")
	}
}

func TestSecretsCanBeLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tratd.yaml")
	if err := os.WriteFile(path, documented(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.Load(path); err == nil || strings.Count(err.Error(), "no such file") != 4 {
		t.Errorf("with secrets that are not there: %v", err)
	}
	c, err := config.LoadWithoutSecrets(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Audit.ChainKey != nil || c.Audit.PseudonymKey != nil || c.Issuers[0].Introspection.PrivateKey != nil || c.Issuers[0].Introspection.ClientSecret != nil {
		t.Error("there are secrets")
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
	c, _, err := config.Load(filepath.Join(dir, "tratd.yaml"))
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
