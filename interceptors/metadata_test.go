package interceptors

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/internal/headersize"
	"github.com/grpc-trat/grpc-trat/trat"
)

// FuzzTokenFromMetadata gives the guard's extraction any metadata. Whatever comes, it
// yields the one value of txn-token or a reason, and leaves nothing of the reserved
// keys behind.
func FuzzTokenFromMetadata(f *testing.F) {
	f.Add("txn-token", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "user-agent", "grpc-go", 1)
	f.Add("txn-token", "Bearer eyJ", "authorization", "Bearer eyJ", 1)
	f.Add("txn-token", "a,b", "txn-token", "c", 2)
	f.Add("Txn-Token", "", "txn-chain", "x", 3)
	f.Add("txn-token-bin", "\x00\xff", "TXN-CHAIN-CERTS-BIN", "\n", 0)
	f.Add("txn-token", strings.Repeat("a", trat.MaxSize+1), "", "", 1)
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string, repeat int) {
		md := metadata.MD{key1: {value1}}
		for range repeat & 3 {
			md[key2] = append(md[key2], value2)
		}
		var sent []string
		for key, values := range md {
			if strings.EqualFold(key, tokenKey) {
				sent = append(sent, values...)
			}
		}
		outside := metadata.NewIncomingContext(t.Context(), md)
		left, _ := metadata.FromIncomingContext(insideContext{outside})
		for key := range left {
			if reserved(key) {
				t.Errorf("%q is left", key)
			}
		}
		raw, err := tokenFromMetadata(outside)
		if err != nil {
			if !errors.Is(err, trat.ReasonTxnTokenMissing) && !errors.Is(err, trat.ReasonTxnTokenMalformed) {
				t.Errorf("reason of %v", err)
			}
			if len(value1) > 20 && strings.Contains(err.Error(), value1) {
				t.Errorf("the error quotes the value: %v", err)
			}
			return
		}
		if len(raw) > trat.MaxSize || strings.ContainsAny(raw, ", ") || raw == "" {
			t.Errorf("took %q", raw)
		}
		if len(sent) == 1 && raw != sent[0] {
			t.Errorf("took %q of %q", raw, sent)
		}
	})
}

// FuzzOutboundMetadata gives the carrier's check any metadata: what it lets out has no
// reserved key and fits the budget.
func FuzzOutboundMetadata(f *testing.F) {
	f.Add("x-request-id", "7", 700)
	f.Add("Txn-Chain", "a", 0)
	f.Add("blob-bin", strings.Repeat("\x00", 5000), 4096)
	f.Fuzz(func(t *testing.T, key, value string, size int) {
		size &= 4095
		used, err := outboundSize(metadata.AppendToOutgoingContext(t.Context(), key, value))
		if err == nil {
			err = checkBudget(used + headersize.Field(tokenKey, size))
		}
		lower := strings.ToLower(key)
		switch {
		case reserved(lower):
			if !errors.Is(err, trat.ReasonClientMetadataConflict) {
				t.Errorf("reserved key %q: %v", key, err)
			}
		case err == nil:
			if total := len(lower) + len(value) + size; total > headersize.Budget {
				t.Errorf("%d bytes went out", total)
			}
		case !errors.Is(err, trat.ReasonMetadataTooLarge):
			t.Errorf("reason of %v", err)
		}
	})
}

func TestReservedKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"txn-token": true, "txn-token-bin": true, "txn-chain": true, "txn-chain-certs-bin": true,
		"txn": false, "x-txn-token": false, "authorization": false, "": false, "txn-id": false,
	} {
		if got := reserved(key); got != want {
			t.Errorf("reserved(%q) = %v", key, got)
		}
	}
}
