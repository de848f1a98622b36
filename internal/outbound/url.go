package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// maxURL is the longest URL, in bytes.
const maxURL = 2048

// URLRules say what a URL may be beside an https one with a host and without query,
// fragment and user information.
type URLRules struct {
	// Query also allows a query.
	Query bool
	// LoopbackHTTP also allows plain http, if the host is the loopback interface.
	LoopbackHTTP bool
}

// ErrLoopbackHTTP says that a URL is good but for URLRules.LoopbackHTTP.
var ErrLoopbackHTTP = errors.New("is not https, and plain http on this host is not allowed")

// CheckURL returns nil for a URL that may be asked. Its errors quote nothing of text, in
// which there may be a password by mistake.
func CheckURL(text string, rules URLRules) error {
	if len(text) > maxURL {
		return fmt.Errorf("longer than %d bytes", maxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Hostname() == "" || u.Opaque != "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("has a user or a password")
	case !rules.Query && (u.RawQuery != "" || u.ForceQuery):
		return errors.New("has a query")
	case strings.Contains(text, "#"):
		return errors.New("has a fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http" || !isLoopback(u.Hostname()):
		return errors.New("is not https")
	case !rules.LoopbackHTTP:
		return ErrLoopbackHTTP
	default:
		return nil
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
