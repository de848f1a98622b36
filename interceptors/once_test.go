package interceptors_test

import (
	"context"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// A token of the transaction that is issued later lives longer than the one with which a
// request was accepted. The request is remembered for as long as there can be one.
//
// Covers RTY-03.
func TestOnceOutlastsTheTokenThatItWasSeenWith(t *testing.T) {
	d := trattest.New(t, domainName)
	client := dialCarrier(t, d, startOnce(t, d, &backend{}, interceptors.SingleReplica()), carrier(t, d))
	call := func(k kind) error {
		return k.call(d.Context(callContext(t), trattest.TransactionID("long")), client)
	}
	for _, k := range kinds() {
		if err := call(k); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		d.Advance(trat.MaxLifetime/4 - time.Second)
		for _, k := range kinds() {
			wantRefusal(t, call(k), trat.ReasonChainReplayed)
		}
	}
}

// Where there is no room for a link, a method with Once is closed even if others are not: one
// link must not stand for two requests.
//
// Covers RTY-02.
func TestOnceIsClosedWithoutRoomForLinks(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	g := guardOf(t, d, "payments", interceptors.Rules{wholeService: interceptors.Require().Once()},
		interceptors.WithOnceStore(roomyStore{}), interceptors.WithReplayLimit(2), interceptors.WithReplayOverflow(interceptors.ReplayOverflowAllow))
	client := dialCarrier(t, d, serveAs(t, d, "payments", g, svc), carrier(t, d))
	if err := callUnary(d.Context(callContext(t)), client); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonRateLimited)
	}
	if n := svc.ran.Load(); n != 1 {
		t.Errorf("%d handlers ran", n)
	}
}

// roomyStore has seen nothing and has room for everything.
type roomyStore struct{}

func (roomyStore) Mark(context.Context, string, string, time.Time) (bool, error) { return true, nil }
