package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/config"
)

func TestSecretsAreReadOnlyFromFilesThatKeepThem(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		path string
		want string // of the error; empty: none
	}{
		"own":                {write("own", "s3cret\r\n", 0o600), ""},
		"group may read":     {write("group", "s3cret\n", 0o440), ""},
		"group may write":    {write("group-write", "s3cret", 0o660), "has mode 0660: a secret must not be"},
		"others may read":    {write("others", "s3cret", 0o644), "has mode 0644: a secret must not be"},
		"others may execute": {write("others-x", "s3cret", 0o601), "has mode 0601: a secret must not be"},
		"empty":              {write("empty", "\n", 0o600), "is empty"},
		"too long":           {write("long", strings.Repeat("s3cret", config.MaxSecretSize/6+1), 0o600), "is longer than 16384 bytes"},
		"absent":             {filepath.Join(dir, "absent"), "no such file"},
		"a directory":        {dir, "is not a regular file"},
		"a device":           {os.DevNull, "is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.ReadSecret(tc.path)
			if tc.want == "" {
				if err != nil || string(got) != "s3cret" {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %q and no secret", err, tc.want)
			}
		})
	}
}

// Covers PRIV-01.
func TestConfigurationDoesNotPrintItsSecrets(t *testing.T) {
	c, err := config.Parse(documented(t), secrets)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "config", c, "value", *c, "audit", c.Audit, "key", c.Audit.PseudonymKey, "issuers", c.Issuers)
	text, err := json.Marshal(c.Audit)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&log, "%v %+v %#v %s %v %+v %x %v %+v", c, *c, c, text, c.Audit, c.Audit, c.Audit.PseudonymKey, c.Issuers, c.Issuers)
	for _, secret := range []string{"s3cret", pseudonymKey, "0 1 2 3", "0x1, 0x2", "AAECAw", "s3cret"[:4]} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in:\n%s", secret, &log)
		}
	}
}

// keyPEM is what login.key holds.
var keyPEM = func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}()

// caPEM is what pdp-ca.pem holds.
var caPEM = func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}()
