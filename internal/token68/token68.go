// Package token68 knows the syntax of bearer credentials.
package token68

import "strings"

// Is says whether text is a token68 (RFC 9110 section 11.2), which RFC 6750 section 2.1
// calls b64token: at least one character of those that it may have, and "=" behind them.
// It cannot become another header, nor another member of one.
func Is(text string) bool {
	body := strings.TrimRight(text, "=")
	return body != "" && !strings.ContainsFunc(body, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	})
}
