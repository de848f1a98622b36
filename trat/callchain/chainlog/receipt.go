package chainlog

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// b64 is the only text form of bytes in a log.
var b64 = base64.RawURLEncoding.Strict()

var errReceipt = errors.New("chainlog: no receipt")

// splitReceipt takes the certificates out of a receipt: body is its first byte and all that
// follows the certificates. A receipt begins with its form, the number of certificates, and
// these, each behind its length (docs/call-chain-format.md).
func splitReceipt(receipt string) (body []byte, certificates [][]byte, err error) {
	if len(receipt) > maxReceipt {
		return nil, nil, errReceipt
	}
	raw, err := b64.DecodeString(receipt)
	if err != nil || len(raw) < receiptHeaderSize || raw[1] > maxCertificates {
		return nil, nil, errReceipt
	}
	rest := raw[receiptHeaderSize:]
	for range raw[1] {
		if len(rest) < 2 {
			return nil, nil, errReceipt
		}
		size := int(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
		if len(rest) < size {
			return nil, nil, errReceipt
		}
		certificates = append(certificates, rest[:size:size])
		rest = rest[size:]
	}
	return append([]byte{raw[0]}, rest...), certificates, nil
}

// joinReceipt puts certificates back into what splitReceipt has returned.
func joinReceipt(body []byte, certificates [][]byte) (string, error) {
	if len(body) == 0 || len(certificates) > maxCertificates {
		return "", errReceipt
	}
	raw := []byte{body[0], byte(len(certificates))} //nolint:gosec // at most maxCertificates
	for _, der := range certificates {
		if len(der) > maxCertificate {
			return "", errReceipt
		}
		raw = binary.BigEndian.AppendUint16(raw, uint16(len(der))) //nolint:gosec // at most maxCertificate
		raw = append(raw, der...)
	}
	return b64.EncodeToString(append(raw, body[1:]...)), nil
}
