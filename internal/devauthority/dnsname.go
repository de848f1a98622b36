package devauthority

import (
	"fmt"
	"regexp"
	"strings"
)

// maxDNSName is the length of the longest name that RFC 1035 section 2.3.4 allows, as text.
const maxDNSName = 253

// dnsName is a host name of RFC 1123 section 2.1 in lower case, without wildcards.
var dnsName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{1,63}$`)

// CheckDNSName says why WithDNSNames does not take name, if it does not: the name is not a
// host name in lower case, or does not end in ".test".
func CheckDNSName(name string) error {
	switch {
	case len(name) > maxDNSName || !dnsName.MatchString(name):
		return fmt.Errorf("%q is not a host name in lower case", name)
	case !strings.HasSuffix(name, topLevelDomain):
		return fmt.Errorf("DNS name %q does not end in %q: this authority is for development only", name, topLevelDomain)
	}
	return nil
}
