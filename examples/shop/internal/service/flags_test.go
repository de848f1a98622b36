package service

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

func TestFlagsReadEverythingAServiceIsTold(t *testing.T) {
	var stocks Peer
	f := NewFlags("orders")
	f.Peer(&stocks, "stocks", "stocks")
	f.Guarded()
	err := f.Parse([]string{
		"-listen", "127.0.0.1:0", "-trust-domain", "shop.test", "-issuer", "https://tts.shop.test",
		"-tts", "127.0.0.1:1", "-tts-id", "spiffe://shop.test/tts",
		"-stocks", "127.0.0.1:2", "-stocks-id", "spiffe://shop.test/stocks", "-chain-log", "orders.jsonl",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Name: "orders", Listen: "127.0.0.1:0", Issuer: "https://tts.shop.test", ChainLog: "orders.jsonl",
		TrustDomain:  spiffeid.RequireTrustDomainFromString("shop.test"),
		TokenService: Peer{"127.0.0.1:1", spiffeid.RequireFromString("spiffe://shop.test/tts")},
	}
	compare := cmp.AllowUnexported(spiffeid.ID{}, spiffeid.TrustDomain{})
	if diff := cmp.Diff(want, f.Config, compare); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Peer{"127.0.0.1:2", spiffeid.RequireFromString("spiffe://shop.test/stocks")}, stocks, compare); diff != "" {
		t.Errorf("peer (-want +got):\n%s", diff)
	}
}

func TestFlagsReportEverythingThatIsNotSetAtOnce(t *testing.T) {
	f := NewFlags("orders")
	f.Peer(new(Peer), "stocks", "stocks")
	f.Guarded() // adds one that may be left out
	err := f.Parse([]string{"-listen", "127.0.0.1:0"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"-trust-domain", "-issuer", "-tts ", "-tts-id", "-stocks ", "-stocks-id"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "-listen") || strings.Contains(err.Error(), "-chain-log") {
		t.Errorf("-listen is set, and -chain-log need not be: %v", err)
	}
}
