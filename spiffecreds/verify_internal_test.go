package spiffecreds

import (
	"crypto/tls"
	"errors"
	"testing"
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
