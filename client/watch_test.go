package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// eventually polls what has no signal of its own.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(testTimeout)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not in time: %s", what)
		}
	}
}

func wantVerify(t *testing.T, c *client.Client, raw string, want trat.Reason) {
	t.Helper()
	_, err := c.Verifier().Verify(raw)
	if reason, _ := trat.ReasonOf(err); reason != want {
		t.Errorf("Verify: %v, want reason %q", err, want)
	}
}

// Covers KEY-05.
func TestClientIsReadyOnceItHasHeardTheKeys(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	f.publish(nil) // nothing to hear yet
	c, _ := f.connect(t)
	raw := f.domain.Raw()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.WaitReady(ctx)
	if !errors.Is(err, trat.ReasonKeysUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("WaitReady = %v", err)
	}
	if err := c.Ready(); !errors.Is(err, trat.ReasonKeysUnavailable) {
		t.Errorf("Ready = %v", err)
	}
	wantVerify(t, c, raw, trat.ReasonKeysUnavailable)

	f.publish(f.keys(1))
	if err := c.WaitReady(timeout(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	wantVerify(t, c, raw, "")
	if key, err := c.KeySet().Key(f.domain.Token().KeyID()); err != nil || key == nil {
		t.Errorf("Key = %v, %v", key, err)
	}
}

func TestWaitReadySaysWhatIsWrong(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	f.stop()
	c, log := f.connect(t)
	log.wait(1, watchTrouble)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("WaitReady = %v", err)
	}
}

// The first look finds no trouble yet: what comes to light later counts.
func TestWaitReadySaysWhatCameToLightWhileItWaited(t *testing.T) {
	for name, start := range map[string]func(*trattest.Domain) *fakeTTS{
		"connection refused": func(d *trattest.Domain) *fakeTTS {
			f := startTTS(t, d)
			f.stop()
			return f
		},
		"spiffe://shop.test/other": func(d *trattest.Domain) *fakeTTS {
			return startTTSAs(t, d, d.ServerCredentials("other", d.Members()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, log := start(trattest.New(t, "shop.test")).connect(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.WaitReady(ctx) }()
			log.wait(1, watchTrouble)
			cancel()
			err := <-ended
			if !errors.Is(err, trat.ReasonKeysUnavailable) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), name) {
				t.Errorf("WaitReady = %v, want %s in it", err, name)
			}
		})
	}
}

func TestWaitReadyFailsAtOnceForAnotherIssuer(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	cfg := f.config()
	cfg.Issuer = "https://wrong.shop.test"
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.WaitReady(timeout(t))
	if !errors.Is(err, trat.ReasonKeysUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), `it is "https://tts.shop.test", configured is "https://wrong.shop.test"`) {
		t.Fatalf("WaitReady = %v", err)
	}
	_, err = c.Exchange(timeout(t), request())
	if !errors.Is(err, trat.ReasonTxnTokenInvalid) ||
		!strings.Contains(err.Error(), `iss: not allowed: the token service's is "https://tts.shop.test", configured is "https://wrong.shop.test"`) {
		t.Errorf("Exchange = %v", err)
	}
}

func TestCloseEndsWaitReady(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	f.stop()
	c, _ := f.connect(t)
	failed := make(chan error, 1)
	go func() { failed <- c.WaitReady(t.Context()) }()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("WaitReady = %v", err)
	}
}

// Covers KEY-05.
func TestWithdrawnKeysWithdrawTheirTokens(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t)
	raw := f.domain.Raw()
	wantVerify(t, c, raw, "")

	f.domain.RevokeKeys()
	f.publish(f.keys(2))
	log.wait(1, "txn_token.keys.refreshed", "version=2", "keys=0")
	wantVerify(t, c, raw, trat.ReasonTxnTokenInvalid)
	if err := c.Ready(); err != nil {
		t.Errorf("an empty set is not a fault: %v", err)
	}

	f.domain.RotateKeys()
	f.publish(f.keys(3))
	log.wait(1, "txn_token.keys.refreshed", "version=3", "keys=1")
	wantVerify(t, c, raw, trat.ReasonTxnTokenInvalid)
	wantVerify(t, c, f.domain.Raw(), "")
}

// Covers KEY-01.
func TestUnknownKeysAreRefusedAtOnceAndFetchNothing(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	raw := f.domain.Broken(trattest.UnknownKey)
	before := f.rpcs.Load()
	for range 1000 {
		wantVerify(t, c, raw, trat.ReasonTxnTokenInvalid)
	}
	if n := f.rpcs.Load() - before; n != 0 {
		t.Errorf("%d calls to the token service", n)
	}
}

// Covers KEY-03.
func TestWatchKeepsLastGoodKeysThroughBadMessages(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t)
	raw := f.domain.Raw()

	f.publish(f.keys(7))
	log.wait(1, "txn_token.keys.refreshed", "version=7")
	f.domain.RotateKeys()
	for name, change := range map[string]func(*tratv1.WatchKeysResponse){
		"older version":  func(m *tratv1.WatchKeysResponse) { m.Version = 6 },
		"another issuer": func(m *tratv1.WatchKeysResponse) { m.Issuer = "https://tts.attacker.test" },
		"garbage":        func(m *tratv1.WatchKeysResponse) { m.Jwks = "garbage" },
		"no age":         func(m *tratv1.WatchKeysResponse) { m.MaxAge = nil },
	} {
		seen := log.lines("a key set was refused")
		m := f.keys(8)
		change(m)
		f.publish(m)
		log.wait(seen+1, "a key set was refused")
		wantVerify(t, c, raw, "")
		if t.Failed() {
			t.Fatalf("after %s", name)
		}
	}
	if n := log.lines("a key set was refused", "level=DEBUG"); n != 3 {
		t.Errorf("%d of 4 refusals in a row were quiet, want all but the first:\n%s", n, log)
	}

	f.publish(f.keys(8))
	log.wait(1, "txn_token.keys.refreshed", "version=8")
	wantVerify(t, c, raw, trat.ReasonTxnTokenInvalid)
}

// Covers KEY-03.
func TestOversizedMessageEndsTheStreamNotTheWatch(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t)
	raw := f.domain.Raw()
	m := f.keys(2)
	m.Jwks = strings.Repeat(" ", 10<<20)
	f.publish(m)
	log.wait(2, watchTrouble, "ResourceExhausted")
	wantVerify(t, c, raw, "")
	f.publish(f.keys(3))
	log.wait(1, "txn_token.keys.refreshed", "version=3")
}

func TestRefusalIsAnAlarmUnlessItIsMerelyLate(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	_, log := f.ready(t)
	f.publish(f.keys(0))
	log.wait(1, "a key set was refused", "level=WARN")
	f.publish(f.keys(1)) // all is well again
	m := f.keys(2)
	m.Issuer = "https://tts.attacker.test"
	f.publish(m)
	log.wait(1, "a key set was refused", "level=ERROR")
}

// Covers KEY-03, KEY-06.
func TestWatchRecoversAfterTheTokenServiceReturns(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t)
	old := f.domain.Raw()

	f.stop()
	log.wait(5, watchTrouble) // five failures, and on
	if n := log.lines(watchTrouble, "level=ERROR"); n != 1 {
		t.Errorf("%d alarms, want 1:\n%s", n, log)
	}
	wantVerify(t, c, old, "") // last good

	f.domain.RotateKeys()
	f.publish(f.keys(2))
	start := time.Now()
	f.start()
	log.wait(1, "txn_token.keys.refreshed", "version=2")
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("recovered after %s", d)
	}
	wantVerify(t, c, f.domain.Raw(), "")
	if _, err := c.Exchange(timeout(t), request()); err != nil {
		t.Error(err)
	}
}

// Covers KEY-03, SEC-13.
func TestKeysGoStaleWithoutTheTokenServiceAndComeBack(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t)
	f.stop()
	log.wait(1, watchTrouble)

	f.domain.Advance(client.MaxKeyAge)
	wantVerify(t, c, f.domain.Raw(), "")
	f.domain.Advance(time.Second)
	wantVerify(t, c, f.domain.Raw(), trat.ReasonKeysUnavailable)
	if err := c.Ready(); !errors.Is(err, trat.ReasonKeysUnavailable) {
		t.Errorf("Ready = %v", err)
	}
	seen := log.lines(watchTrouble)
	log.wait(seen+3, watchTrouble)
	if n := log.lines("txn_token.keys.stale", "level=ERROR"); n != 1 {
		t.Errorf("%d stale events, want 1:\n%s", n, log)
	}

	f.start()
	if err := c.WaitReady(timeout(t)); err != nil {
		t.Fatal(err)
	}
	wantVerify(t, c, f.domain.Raw(), "")
	// The same set, but a transition all the same.
	log.wait(2, "txn_token.keys.refreshed", "version=1")
}

func TestHeartbeatsAreNotLogged(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	_, log := f.ready(t)
	for range 5 {
		f.publish(f.keys(1))
	}
	f.publish(f.keys(2))
	log.wait(1, "txn_token.keys.refreshed", "version=2")
	if n := log.lines("txn_token.keys.refreshed"); n != 2 {
		t.Errorf("%d refresh events, want 2:\n%s", n, log)
	}
}

func TestStreamEndedByTheServiceIsOpenedAgain(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	_, log := f.ready(t)
	latest := f.keys(1)
	f.publish(nil)
	log.wait(1, watchTrouble, "failures=1")
	f.publish(latest)
	eventually(t, "watching again", func() bool { return f.watching() == 1 })
	if log.lines("level=ERROR") > 0 {
		t.Errorf("an alarm for a stream that ended:\n%s", log)
	}
}

// Covers KEY-06.
func TestSilentStreamIsGivenUp(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	_, log := f.ready(t, client.WithSilence(50*time.Millisecond))
	log.wait(2, watchTrouble, "no message for too long")
	eventually(t, "watching again", func() bool { return f.watching() >= 1 })
}

func TestShorterMaximumAgeOfTheServiceHolds(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	m := f.keys(2)
	m.MaxAge = durationpb.New(time.Minute)
	f.publish(m)
	c, _ := f.ready(t)
	f.domain.Advance(time.Minute + time.Second)
	wantVerify(t, c, f.domain.Raw(), trat.ReasonKeysUnavailable)
}

func TestSVIDRotationNeedsNoNewClient(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t)
	f.domain.RotateSVIDs()
	f.stop()
	log.wait(1, watchTrouble)
	f.start() // with the rotated SVIDs on both sides
	eventually(t, "exchange over a new connection", func() bool {
		_, err := c.Exchange(timeout(t), request())
		return err == nil
	})
}

// A workload that never gets keys refuses every token: its log must go on saying why.
func TestAlarmIsRepeatedWhileThereAreNoKeys(t *testing.T) {
	t.Parallel()
	f := startTTS(t, trattest.New(t, "shop.test"))
	f.stop()
	c, log := f.connect(t)
	log.wait(1, watchTrouble, "cannot be opened", "level=ERROR", "failures=5",
		"target=passthrough:///"+f.addr, "server_id=spiffe://shop.test/tts")
	log.wait(2+log.lines(watchTrouble), watchTrouble)
	if n := log.lines("level=ERROR"); n != 1 {
		t.Errorf("%d alarms within a minute, want 1:\n%s", n, log)
	}
	f.domain.Advance(time.Minute)
	log.wait(2, watchTrouble, "cannot be opened", "level=ERROR")
	f.start()
	if err := c.WaitReady(timeout(t)); err != nil {
		t.Fatal(err)
	}
	log.wait(1, watchTrouble, "has recovered", "level=INFO")
}

func TestRecoveryFromAnAlarmIsLoggedThoughTheKeysAreTheSame(t *testing.T) {
	t.Parallel()
	f := startTTS(t, trattest.New(t, "shop.test"))
	_, log := f.ready(t)
	f.stop()
	log.wait(1, watchTrouble, "was interrupted", "failures=1")
	log.wait(1, watchTrouble, "cannot be opened", "level=ERROR")
	f.start()
	log.wait(1, watchTrouble, "has recovered", "level=INFO")
	if n := log.lines("txn_token.keys.refreshed"); n != 1 {
		t.Errorf("%d refresh events, want 1:\n%s", n, log)
	}
}

// Most often it is this workload whose configuration is wrong.
func TestARefusalForTheIssuerNamesBoth(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	wrong := f.keys(1)
	wrong.Issuer += "/" + strings.Repeat("x", 1000)
	f.publish(wrong)
	c, log := f.connect(t)
	refusal := []string{"a key set was refused", "level=ERROR", "issuer.configured=https://tts.shop.test ", "issuer.received=https://tts.shop.test/xxx"}
	log.wait(1, append(refusal, "usable_set=false")...)
	if err := c.Ready(); err == nil || !strings.Contains(err.Error(), `configured is "https://tts.shop.test"`) {
		t.Errorf("Ready = %v", err)
	}
	f.domain.Advance(time.Minute)
	f.publish(wrong)
	log.wait(2, append(refusal, "usable_set=false")...)

	f.publish(f.keys(1))
	log.wait(1, watchTrouble, "has recovered", "level=INFO")
	f.publish(wrong)
	log.wait(1, append(refusal, "usable_set=true")...)
	if strings.Contains(log.String(), strings.Repeat("x", 300)) {
		t.Error("the received issuer is told at any length")
	}
}
