package trat_test

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
)

func TestSignatureFromDER(t *testing.T) {
	largest := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	der := func(r, s *big.Int) []byte {
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for _, n := range []*big.Int{big.NewInt(1), big.NewInt(127), big.NewInt(128), new(big.Int).Rsh(largest, 1), largest} {
		var want [64]byte
		n.FillBytes(want[:32])
		big.NewInt(7).FillBytes(want[32:])
		got, err := trat.SignatureFromDER(der(n, big.NewInt(7)))
		if err != nil || !bytes.Equal(got[:], want[:]) {
			t.Errorf("%x: %x, %v", n, got, err)
		}
	}
	good := der(largest, big.NewInt(7))
	for name, bad := range map[string][]byte{
		"nothing":      nil,
		"cut":          good[:len(good)-1],
		"more":         append(bytes.Clone(good), 0),
		"no sequence":  append([]byte{0x31}, good[1:]...),
		"zero":         der(big.NewInt(0), big.NewInt(7)),
		"negative":     der(big.NewInt(7), big.NewInt(-7)),
		"too large":    der(new(big.Int).Lsh(largest, 1), big.NewInt(7)),
		"one integer":  {0x30, 3, 2, 1, 7},
		"three":        {0x30, 9, 2, 1, 7, 2, 1, 7, 2, 1, 7},
		"no integer":   {0x30, 6, 4, 1, 7, 2, 1, 7},
		"empty":        {0x30, 5, 2, 0, 2, 1, 7},
		"beyond":       {0x30, 6, 2, 9, 7, 2, 1, 7},
		"other length": {0x30, 7, 2, 1, 7, 2, 1, 7},
	} {
		if sig, err := trat.SignatureFromDER(bad); err == nil || sig != [64]byte{} {
			t.Errorf("%s is accepted", name)
		}
	}
}
