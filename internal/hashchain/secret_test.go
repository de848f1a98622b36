package hashchain

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Covers PRIV-01.
func TestConfigurationDoesNotPrintItsKey(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	config := FileConfig{Path: "audit.jsonl", Key: key}
	options := VerifyOptions{Key: key}
	for name, v := range map[string]any{
		"a config": config, "a pointer to one": &config, "one inside": struct{ C FileConfig }{config},
		"options": options, "a pointer to some": &options, "some inside": []VerifyOptions{options},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
			text, err := json.Marshal(v)
			must(t, err)
			out.Write(text)
			for _, secret := range []string{
				string(key[:8]), "48 49 50", "0x30, 0x31", hex.EncodeToString(key[:8]), base64.StdEncoding.EncodeToString(key[:6]),
			} {
				if strings.Contains(strings.ToLower(out.String()), strings.ToLower(secret)) {
					t.Errorf("%q is in:\n%s", secret, &out)
				}
			}
			if !strings.Contains(out.String(), "hashchain.") {
				t.Errorf("printed:\n%s", &out)
			}
		})
	}
}
