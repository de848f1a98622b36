package rules

import "strconv"

// String is the mode as a text shows it: "path", "head", "off"; "" for the default.
func (m ChainMode) String() string { return nameOf(m, "", "off", "head", "path") }

// String is the mode as a text shows it: "once", "jti", "off"; "" for the default.
func (r Replay) String() string { return nameOf(r, "", "off", "jti", "once") }

// String is the policy as a text shows it: "open_only", "grace", "close_at_exp"; "" for
// the default.
func (e Expiry) String() string { return nameOf(e, "", "open_only", "grace", "close_at_exp") }

// String is the mode as a text shows it: "strict", "presence", "shadow"; "" for the
// default.
func (e Enforcement) String() string { return nameOf(e, "", "shadow", "presence", "strict") }

func nameOf[E ~uint8](value E, names ...string) string {
	if int(value) < len(names) {
		return names[value]
	}
	return "unknown " + strconv.Itoa(int(value))
}
