package spiffecreds

import (
	"context"
	"crypto/tls"
	"errors"
	"testing"
	"time"
)

// What crypto/tls, set up as it is here, does not let happen is refused all the same.
func TestConnectionStatesThatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		verifier verifier
		state    tls.ConnectionState
		want     error
	}{
		{verifier{protocol: alpnHTTP2}, tls.ConnectionState{DidResume: true, NegotiatedProtocol: alpnHTTP2}, ErrResumed},
		{verifier{protocol: alpnHTTP2}, tls.ConnectionState{NegotiatedProtocol: alpnHTTP1}, ErrProtocol},
		{verifier{protocol: alpnHTTP1}, tls.ConnectionState{NegotiatedProtocol: alpnHTTP2}, ErrProtocol},
		{verifier{}, tls.ConnectionState{}, ErrProtocol},
		{verifier{protocol: alpnHTTP2}, tls.ConnectionState{NegotiatedProtocol: alpnHTTP2}, ErrNoCertificate},
	} {
		var refusal *PeerError
		if _, err := tt.verifier.connection(tt.state); !errors.As(err, &refusal) || !errors.Is(refusal.Check, tt.want) {
			t.Errorf("%q, %+v: error %v, want %v", tt.verifier.protocol, tt.state, err, tt.want)
		}
	}
}

func TestStartHasADeadlineByDefault(t *testing.T) {
	begin := time.Now()
	ctx, cancel := sourceConfig{}.startContext(context.WithoutCancel(t.Context()))
	defer cancel()
	deadline, ok := ctx.Deadline()
	if wait := deadline.Sub(begin); !ok || wait < DefaultStartTimeout || wait > 2*DefaultStartTimeout {
		t.Errorf("deadline after %v, %v, want %v", wait, ok, DefaultStartTimeout)
	}
}

func TestWaitsAddUpToLessThanTwoSeconds(t *testing.T) {
	watch := retryStrategy{}.NewBackoff()
	var longest time.Duration
	for range 1000 {
		d := watch.Next()
		if d <= 0 {
			t.Fatalf("wait of %v", d)
		}
		longest = max(longest, d)
	}
	channel := time.Duration((1 + retryJitter) * float64(retryMax))
	if total := longest + channel; total > time.Second {
		t.Errorf("waits of %v and %v leave too little of two seconds", longest, channel)
	}
	watch.Reset()
	if d := watch.Next(); d > retryBase {
		t.Errorf("wait of %v after success, want %v at most", d, retryBase)
	}
}
