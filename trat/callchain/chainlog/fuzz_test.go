package chainlog

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzRead reads anything: no input makes it panic, and a call that it gives can be read
// again from its line.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"seq":1,"prev":"` + strings.Repeat("0", 64) + `","event.name":"txn_chain.audit","time":"2026-11-22T12:00:00Z","v":1,` +
		`"server":"spiffe://shop.test/orders","hash":"` + strings.Repeat("0", 64) + "\"}\n"))
	f.Add([]byte(`{"seq":1,"prev":"` + strings.Repeat("0", 64) + `","event.name":"txn_chain.audit.bundle","time":"2026-11-22T12:00:00Z",` +
		`"server":"spiffe://shop.test/orders","trust_domain":"shop.test","authorities":["` + strings.Repeat("A", 43) + `"],"hash":"` + strings.Repeat("0", 64) + "\"}\n"))
	f.Add([]byte("{}\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := ReadFrom(bytes.NewReader(text), ReadOptions{}, func(e *Entry) error {
			if e.Call == nil {
				return nil
			}
			again, at, err := ParseCall(e.Text)
			if err != nil || again.Link != e.Call.Link || !at.Equal(e.Time) || e.Call.Server.IsZero() {
				t.Errorf("read again: %+v, %v", again, err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("error %v", err)
		}
	})
}
