package callchain

import "bytes"

// encodeReceipt returns links, which are a whole chain or the last link of one, in a form
// that needs no connection.
func encodeReceipt(links []signedLink, intermediates [][]byte) string {
	m := newMessage(formReceipt, links, intermediates)
	if first := links[0]; first.depth > 0 {
		m.full[0].flags |= flagDetached
		m.full[0].depth, m.full[0].parent = byte(first.depth), first.parent //nolint:gosec // at most MaxDepth
	}
	last := len(m.full) - 1
	m.shareTrace(m.full[last].trace)
	m.full[last].flags &^= flagSameTrace
	return m.String()
}

// SplitReceipt takes the certificates out of what Chain.Receipt or Chain.Proof has returned,
// for who keeps them elsewhere, once for many receipts: body is all else, and of no use without
// them. Of body it looks at the form only; VerifyEvidence judges. Errors are an *trat.Error
// with CHAIN_LINK_INVALID: too long, no receipt, or a certificate that none can have.
func SplitReceipt(receipt string) (body []byte, certificates [][]byte, err error) {
	b, err := decodeText(receipt, MaxReceiptSize)
	if err != nil {
		return nil, nil, err
	}
	r := reader{b: b}
	form := r.byte()
	if form != formReceipt {
		return nil, nil, malformed("no receipt")
	}
	if certificates, err = readCertificates(&r); err != nil {
		return nil, nil, err
	}
	if r.short {
		return nil, nil, errShort()
	}
	return append([]byte{form}, r.b...), certificates, nil
}

// JoinReceipt puts certificates back into what SplitReceipt has returned, in the same order.
// Errors are those of SplitReceipt.
func JoinReceipt(body []byte, certificates [][]byte) (string, error) {
	if !bytes.HasPrefix(body, []byte{formReceipt}) {
		return "", malformed("no receipt")
	}
	if err := checkCertificateSizes(certificates); err != nil {
		return "", err
	}
	b := appendAll([]byte{formReceipt, byte(len(certificates))}, certificates) //nolint:gosec // at most MaxCertificates
	receipt := encoding.EncodeToString(append(b, body[1:]...))
	if len(receipt) > MaxReceiptSize {
		return "", malformed("longer than %d bytes", MaxReceiptSize)
	}
	return receipt, nil
}

// checkCertificateSizes refuses certificates that readCertificates would not read.
func checkCertificateSizes(certificates [][]byte) error {
	if len(certificates) > MaxCertificates {
		return errCertificates()
	}
	for _, der := range certificates {
		if len(der) == 0 || len(der) > maxCertificateSize {
			return errCertificateSize()
		}
	}
	return nil
}
