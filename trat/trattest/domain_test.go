package trattest_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestTokenHasDefaultsAndOptions(t *testing.T) {
	d := trattest.New(t, "shop.test")
	scope := func(s string) trat.Scope {
		parsed, err := trat.ParseScope(s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	object := func(s string) trat.Object {
		parsed, err := trat.ParseObject(s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}

	want := trat.Claims{
		Issuer:             "https://tts.shop.test",
		Subject:            "user-1",
		Audience:           "shop.test",
		Scope:              scope("test"),
		RequestingWorkload: "spiffe://shop.test/gateway",
		IssuedAt:           d.Now().UTC(),
		Expiry:             d.Now().Add(trat.DefaultLifetime).UTC(),
	}
	got := d.Token().Claims()
	if got.TransactionID == "" || got.TransactionID == d.Token().TransactionID() {
		t.Errorf("txn %q is not new for each token", got.TransactionID)
	}
	got.TransactionID = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}

	want = trat.Claims{
		Issuer:             "https://tts.shop.test",
		Subject:            "user-7",
		Audience:           "shop.test",
		TransactionID:      "txn-7",
		Scope:              scope("order.create order.read"),
		RequestingWorkload: "spiffe://shop.test/timer",
		IssuedAt:           d.Now().Add(-10 * time.Second).UTC(),
		Expiry:             d.Now().Add(20 * time.Second).UTC(),
		TransactionContext: object(`{"quantity":3}`),
		RequestContext:     object(`{"ip":"192.0.2.7"}`),
	}
	got = d.Token(
		trattest.Subject("user-7"),
		trattest.Scope("order.create order.read"),
		trattest.TransactionID("txn-7"),
		trattest.Requester("spiffe://shop.test/timer"),
		trattest.Details(`{"quantity":3}`),
		trattest.Context(`{"ip":"192.0.2.7"}`),
		trattest.Age(10*time.Second),
		trattest.Lifetime(30*time.Second),
	).Claims()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

func TestContextCarriesVerifiedToken(t *testing.T) {
	d := trattest.New(t, "shop.test")
	token, ok := trat.FromContext(d.Context(t.Context(), trattest.Subject("user-7")))
	if !ok || token.Subject() != "user-7" {
		t.Errorf("FromContext = %v, %v", token, ok)
	}
}

// Covers VER-04.
func TestClockMovesOnlyWhenTold(t *testing.T) {
	d := trattest.New(t, "shop.test")
	start, raw := d.Now(), d.Raw()
	if now := d.Now(); !now.Equal(start) {
		t.Errorf("the clock moved by itself, by %s", now.Sub(start))
	}
	d.Advance(trat.DefaultLifetime + trat.DefaultLeeway - time.Second)
	if _, err := d.Verifier().Verify(raw); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	d.Advance(time.Second)
	if _, err := d.Verifier().Verify(raw); !errors.Is(err, trat.ReasonTxnTokenExpired) {
		t.Errorf("past the leeway: error = %v, want %s", err, trat.ReasonTxnTokenExpired)
	}
	d.SetTime(start)
	if _, err := d.Verifier().Verify(raw); err != nil {
		t.Errorf("back at the start: %v", err)
	}
}

// Covers KEY-05.
func TestRevokedKeysRefuseTokensVerifiedBefore(t *testing.T) {
	d := trattest.New(t, "shop.test")
	raw := d.Raw()
	if _, err := d.Verifier().Verify(raw); err != nil {
		t.Fatal(err)
	}
	d.RevokeKeys()
	if _, err := d.Verifier().Verify(raw); !errors.Is(err, trat.ReasonTxnTokenInvalid) {
		t.Errorf("revoked: error = %v, want %s", err, trat.ReasonTxnTokenInvalid)
	}
	if got, want := string(d.JWKS()), `{"keys":[]}`; got != want {
		t.Errorf("JWKS = %s, want %s", got, want)
	}

	d.RotateKeys()
	if _, err := d.Verifier().Verify(raw); !errors.Is(err, trat.ReasonTxnTokenInvalid) {
		t.Errorf("rotated: error = %v, want %s", err, trat.ReasonTxnTokenInvalid)
	}
	if _, err := d.Verifier().Verify(d.Raw()); err != nil {
		t.Errorf("new key: %v", err)
	}
}

func TestDomainsDoNotTrustEachOther(t *testing.T) {
	a, b := trattest.New(t, "a.test"), trattest.New(t, "b.test")
	if _, err := b.Verifier().Verify(a.Raw()); !errors.Is(err, trat.ReasonTxnTokenAudience) {
		t.Errorf("error = %v, want %s", err, trat.ReasonTxnTokenAudience)
	}
	twin := trattest.New(t, "a.test")
	if _, err := twin.Verifier().Verify(a.Raw()); !errors.Is(err, trat.ReasonTxnTokenInvalid) {
		t.Errorf("same name, other key: error = %v, want %s", err, trat.ReasonTxnTokenInvalid)
	}
}

func TestDomainIsSafeForConcurrentUse(t *testing.T) {
	d := trattest.New(t, "shop.test")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				_, _ = d.Verifier().Verify(d.Raw())
				d.RotateKeys()
				d.Advance(time.Second)
				d.RotateSVIDs()
				d.SVID("orders")
			}
		})
	}
	wg.Wait()
}

// fatalTB records the message of Fatalf and ends the goroutine, as testing.T does.
type fatalTB struct {
	testing.TB
	failed bool
}

func (f *fatalTB) Helper()        {}
func (f *fatalTB) Cleanup(func()) {}
func (f *fatalTB) Fatalf(string, ...any) {
	f.failed = true
	runtime.Goexit()
}

func TestMisuseFailsTheTest(t *testing.T) {
	for name, misuse := range map[string]func(tb testing.TB){
		"trust domain of the real world": func(tb testing.TB) { trattest.New(tb, "prod.example.org") },
		"no trust domain":                func(tb testing.TB) { trattest.New(tb, "") },
		"bad scope":                      func(tb testing.TB) { trattest.New(tb, "shop.test").Raw(trattest.Scope("a  b")) },
		"bad details":                    func(tb testing.TB) { trattest.New(tb, "shop.test").Raw(trattest.Details("[1]")) },
		"bad context":                    func(tb testing.TB) { trattest.New(tb, "shop.test").Raw(trattest.Context("{")) },
		"lifetime beyond the limit":      func(tb testing.TB) { trattest.New(tb, "shop.test").Raw(trattest.Lifetime(time.Hour)) },
		"token that does not verify":     func(tb testing.TB) { trattest.New(tb, "shop.test").Token(trattest.Age(time.Hour)) },
		"unknown flaw":                   func(tb testing.TB) { trattest.New(tb, "shop.test").Broken("unheard of") },
		"bad path":                       func(tb testing.TB) { trattest.New(tb, "shop.test").ID("a//b") },
		"bad verifier option":            func(tb testing.TB) { trattest.New(tb, "shop.test").Verifier(trat.WithLeeway(time.Hour)) },
		"chain through nobody": func(tb testing.TB) {
			trattest.New(tb, "shop.test").ChainContext(t.Context(), nil, "orders", placeOrder)
		},
		"chain of another requester": func(tb testing.TB) {
			d := trattest.New(tb, "shop.test")
			d.Chain(d.Token(), []string{"timer"}, "orders", placeOrder)
		},
		"chain to no method": func(tb testing.TB) {
			trattest.New(tb, "shop.test").ChainContext(t.Context(), []string{"gateway"}, "orders", "CreateOrder")
		},
		"chain that is too long": func(tb testing.TB) {
			trattest.New(tb, "shop.test").ChainContext(t.Context(), strings.Split("abcdefg", ""), "orders", placeOrder)
		},
		"unknown flaw of chains": func(tb testing.TB) {
			d := trattest.New(tb, "shop.test")
			d.BrokenChain("unheard of", d.Token(), []string{"gateway", "orders"}, "stock", placeOrder)
		},
		"broken chain through one": func(tb testing.TB) {
			d := trattest.New(tb, "shop.test")
			d.BrokenChain(trattest.ChainSpliced, d.Token(), []string{"gateway"}, "orders", placeOrder)
		},
		"chain of no token": func(tb testing.TB) {
			trattest.New(tb, "shop.test").RawChain(nil, []string{"gateway"}, "orders", placeOrder)
		},
		"server without matcher": func(tb testing.TB) { trattest.New(tb, "shop.test").ServerCredentials("a", nil) },
		"client without matcher": func(tb testing.TB) { trattest.New(tb, "shop.test").ClientCredentials("a", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			tb := &fatalTB{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				misuse(tb)
			}()
			<-done
			if !tb.failed {
				t.Error("the test went on")
			}
		})
	}
}
