package chainlog

import (
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// bundleLines returns the lines of a bundle that has changed.
func (w *writer) bundleLines(now time.Time) []line {
	bundle, err := w.bundles()
	if err != nil || w.bundle != nil && w.bundle.Equal(bundle) {
		return nil // without a bundle no chain was verified either
	}
	bundle = bundle.Clone()
	var lines []line
	var authorities []string
	for _, authority := range bundle.X509Authorities() {
		fingerprint := fingerprintOf(authority.Raw)
		authorities = append(authorities, fingerprint)
		lines = w.certificateLines(lines, now, fingerprint, authority.Raw)
	}
	w.bundle = bundle
	return append(lines, line{entry: bundleEntry(now, w.server, bundle, authorities), bundle: true})
}

// callLines appends the lines of a call: its certificates, as far as they are not in the
// file yet, and itself. Without its receipt it would be a call that was accepted without a
// chain, and is an error.
func (w *writer) callLines(lines []line, r *callchain.Record) ([]line, error) {
	c := call{record: r}
	if receipt := r.Chain.Receipt(); receipt != "" {
		body, certificates, err := callchain.SplitReceipt(receipt)
		if err != nil {
			return lines, err
		}
		c.body = body
		for _, der := range certificates {
			fingerprint := fingerprintOf(der)
			c.certificates = append(c.certificates, fingerprint)
			lines = w.certificateLines(lines, r.Time, fingerprint, der)
		}
	}
	return append(lines, line{entry: c.entry(), call: true}), nil
}

func (w *writer) certificateLines(lines []line, now time.Time, fingerprint string, der []byte) []line {
	if _, known := w.written[fingerprint]; known {
		return lines
	}
	w.written[fingerprint] = struct{}{}
	return append(lines, line{entry: certificateEntry(now, fingerprint, der), certificate: fingerprint})
}
