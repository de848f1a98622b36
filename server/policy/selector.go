package policy

import (
	"encoding/json"
	"strconv"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
)

// claimSelector is a claim and the values of it that a rule is for. A token without the
// claim is not.
type claimSelector struct {
	name    string
	allowed set // of what canonical returns
}

// excludes says why the rule is not for a token with these claims; nothing if it is.
func (c *claimSelector) excludes(claims *expr.Record) string {
	raw, err := claims.Raw(c.name)
	if err != nil {
		return "the subject token has no such claim of the declared type"
	}
	if value, ok := canonical(raw); !ok || !c.allowed.has(value) {
		return "the subject token has another value"
	}
	return ""
}

// disjoint says whether no one token has both c and other. Selectors of different claims
// never are.
func (c *claimSelector) disjoint(other claimSelector) bool {
	return c.name == other.name && !c.allowed.meets(other.allowed)
}

// canonical returns the JSON text of a text, an integer or a boolean, the same for one
// value however it was written. Other values have none.
func canonical(raw string) (string, bool) {
	switch {
	case raw == "true" || raw == "false":
		return raw, true
	case raw[0] == '"':
		var text string
		if json.Unmarshal([]byte(raw), &text) != nil {
			return "", false
		}
		return `"` + text, true
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	return strconv.FormatInt(n, 10), err == nil
}
