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
	for want, state := range map[error]tls.ConnectionState{
		ErrResumed:       {DidResume: true, NegotiatedProtocol: alpnHTTP2},
		ErrProtocol:      {NegotiatedProtocol: "http/1.1"},
		ErrNoCertificate: {NegotiatedProtocol: alpnHTTP2},
	} {
		var refusal *PeerError
		if _, err := (verifier{}).connection(state); !errors.As(err, &refusal) || !errors.Is(refusal.Check, want) {
			t.Errorf("error %v, want %v", err, want)
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
