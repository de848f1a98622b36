// Package samejson compares JSON by value, for texts that may be spelled differently.
package samejson

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
)

// Equal reports whether a and b are JSON texts of the same value: the order of members,
// escapes and space between tokens do not matter. Numbers are the same only digit by
// digit, so that none is rounded: 1 is not 1.0. A text that is not one JSON value is equal
// to itself alone. Safe for concurrent use.
func Equal(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := decode(a)
	y, errY := decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func decode(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}
