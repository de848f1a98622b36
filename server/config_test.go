package server_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/server"
)

// Covers PRIV-01.
func TestConfigDoesNotPrintItsKey(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	config := server.Config{Issuer: "https://tts.test", PseudonymKey: key}
	var out strings.Builder
	for _, v := range []any{config, &config, []server.Config{config}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	for _, secret := range []string{
		string(key[:8]), "48 49 50", "0x30, 0x31", hex.EncodeToString(key[:8]), base64.StdEncoding.EncodeToString(key[:6]),
	} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(secret)) {
			t.Errorf("%q is in:\n%s", secret, &out)
		}
	}
	if !strings.Contains(out.String(), "https://tts.test") {
		t.Errorf("printed:\n%s", &out)
	}
}
