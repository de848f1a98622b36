// Package syntax is what the texts of rules have in common: how long they may be, what a
// path is, and how an error shows one.
package syntax

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Bounds of a rule.
const (
	MaxEntries = 64   // of each list
	MaxText    = 4096 // of each text, in bytes

	maxNames = trat.MaxDepth - 2
	maxShown = 80 // of a text in an error, in bytes
)

// path is names joined by dots.
var path = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$`)

// CheckPath reports why a text is not names joined by dots.
func CheckPath(text string) error {
	switch {
	case len(text) > MaxText || !path.MatchString(text):
		return errors.New("want names joined by dots, of letters, digits, '_' and '-'")
	case strings.Count(text, ".") >= maxNames:
		return fmt.Errorf("more than %d names", maxNames)
	}
	return nil
}

// CheckMember reports why a text is no path of a member of tctx. One that has tctx itself as
// its first name would be found absent in each call.
func CheckMember(text string) error {
	if strings.HasPrefix(text, "tctx.") {
		return errors.New(`paths begin below tctx: leave "tctx." away`)
	}
	return CheckPath(text)
}

// Shown is text, quoted and cut to what a person can read.
func Shown(text string) string {
	if len(text) > maxShown {
		return fmt.Sprintf("%q…", text[:maxShown])
	}
	return fmt.Sprintf("%q", text)
}

// ShownKey is a key for an error: as it is, unless it is longer than anybody reads.
func ShownKey(key string) string {
	if len(key) > maxShown {
		return Shown(key)
	}
	return key
}
