package chainaudit_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// Whatever holds the key of a log prints without it.
//
// Covers PRIV-01.
func TestKeysOfLogsAreNotPrinted(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	file, input := chainlog.FileConfig{Path: "chain.jsonl", Key: key}, chainaudit.Input{Key: key}
	for name, v := range map[string]any{
		"hashchain.FileConfig":    hashchain.FileConfig{Path: "chain.jsonl", Key: key},
		"hashchain.VerifyOptions": hashchain.VerifyOptions{Key: key},
		"chainlog.FileConfig":     file,
		"chainlog.ReadOptions":    chainlog.ReadOptions{Key: key},
		"chainaudit.Input":        input,
		"a pointer":               &file,
		"a key":                   file.Key,
		"a pointer to a key":      &input.Key,
		"inside":                  []any{struct{ In chainaudit.Input }{input}, map[string]any{"k": input.Key}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
			if text, err := json.Marshal(v); err == nil { // a clock has no JSON
				out.Write(text)
			}
			for _, secret := range []string{
				string(key[:8]), "48 49 50", "0x30, 0x31", hex.EncodeToString(key[:8]), base64.StdEncoding.EncodeToString(key[:6]),
			} {
				if strings.Contains(strings.ToLower(out.String()), strings.ToLower(secret)) {
					t.Errorf("%q is in:\n%s", secret, &out)
				}
			}
			if !strings.Contains(out.String(), "32 bytes") {
				t.Errorf("printed:\n%s", &out)
			}
		})
	}
}
