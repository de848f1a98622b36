package policy

import (
	"encoding/json"
	"strconv"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
)

// claimValue returns a claim in the form that rules' allowed values have: its JSON text,
// the same for one value however it was written. Only text, integers and booleans have
// one.
func claimValue(claims *expr.Record, name string) (string, bool) {
	raw, err := claims.Raw(name)
	if err != nil {
		return "", false
	}
	return canonical(raw)
}

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
