package binding

import (
	"math"
	"strconv"
	"strings"
)

// maxExact is the least integer from which on a double cannot hold each one.
const maxExact = 1 << 53

// sameReal reports whether a JSON number says v, a value of 32 or 64 bits. An integer must
// be v exactly. Any other number must be the decimal that v is written as, which is the
// shortest that is read as v; how it is spelled, 1e2 or 100.0, does not matter. So a number
// that would be rounded to v is not v. NaN equals nothing, and 0 is not -0.
func sameReal(v float64, bits int, number string) bool {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return false
	}
	var memory [64]byte
	if !strings.ContainsAny(number, ".eE") {
		// A number of a token fits 64 bits, and what is longer than memory does not.
		return math.Trunc(v) == v && math.Abs(v) <= math.MaxUint64 && number == string(strconv.AppendFloat(memory[:0], v, 'f', 0, 64))
	}
	said, ok := readDecimal(number)
	if !ok {
		return false
	}
	written, ok := readDecimal(string(strconv.AppendFloat(memory[:0], v, 'e', -1, bits)))
	return ok && said == written
}

// appendReal appends a finite number as sameReal reads it.
func appendReal(dst []byte, v float64, bits int) []byte {
	const leastPlain = 1e-6
	magnitude := math.Abs(v)
	switch {
	case math.Trunc(v) == v && magnitude < maxExact:
		return strconv.AppendFloat(dst, v, 'f', 0, 64)
	case leastPlain <= magnitude && magnitude < maxExact:
		return strconv.AppendFloat(dst, v, 'f', -1, bits)
	default:
		return strconv.AppendFloat(dst, v, 'e', -1, bits)
	}
}

// decimal is a number: 0.digits times ten to the exponent. Zero has no digits.
type decimal struct {
	negative bool
	digits   [maxDigits]byte
	count    int
	exponent int
}

// maxDigits is how many digits the shortest decimal of a double can have.
const maxDigits = 17

// readDecimal reads a JSON number. It reports false when it has more digits than any that
// is written.
func readDecimal(number string) (decimal, bool) {
	var d decimal
	number, d.negative = strings.CutPrefix(number, "-")
	mantissa := number
	if e := strings.IndexAny(number, "eE"); e >= 0 {
		mantissa = number[:e]
		// Of an exponent beyond int only a zero can be; ParseFloat has refused the rest.
		d.exponent, _ = strconv.Atoi(number[e+1:])
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent += len(whole)
	significant := strings.TrimLeft(whole, "0")
	d.exponent -= len(whole) - len(significant)
	if significant == "" {
		significant = strings.TrimLeft(fraction, "0")
		d.exponent -= len(fraction) - len(significant)
		fraction = ""
	}
	for _, part := range [...]string{significant, fraction} {
		for i := range len(part) {
			switch {
			case d.count < maxDigits:
				d.digits[d.count] = part[i]
				d.count++
			case part[i] != '0':
				return decimal{}, false
			}
		}
	}
	for d.count > 0 && d.digits[d.count-1] == '0' {
		d.count--
		d.digits[d.count] = 0
	}
	if d.count == 0 {
		return decimal{negative: d.negative}, true
	}
	return d, true
}
