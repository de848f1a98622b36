package policy

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/samejson"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Defaults of the rule key replacement.
const (
	// DefaultMaxReplacements is how often a transaction's token may be replaced.
	DefaultMaxReplacements = 3
	// DefaultMaxVisits is how often one workload may be in req_wl_chain.
	DefaultMaxVisits = 2
)

// replacement is how a rule lets TraTs be replaced. What it grants is in the rule.
type replacement struct {
	extendLifetime bool
	maxCount       int
	maxAge         time.Duration
	maxVisits      int
	headReceipt    bool
}

// admit holds a replacement to the limits of count, age and loops.
func (r *replacement) admit(req Request) error {
	t := req.Transaction
	requesters := t.Requesters()
	visits := requesters.Count(req.Requester.String())
	switch {
	case t.ReplacementCount >= r.maxCount:
		return limit("the transaction's token has been replaced %d times", t.ReplacementCount)
	case requesters.Len() >= trat.MaxWorkloadChain:
		return limit("the chain of requesters has %d workloads", requesters.Len())
	case visits >= r.maxVisits:
		return limit("the requester has had a token of the transaction %d times", visits)
	case req.Now.Sub(t.FirstIssuedAt()) >= r.maxAge:
		return limit("the transaction is older than %s", r.maxAge)
	}
	return nil
}

func limit(format string, args ...any) error {
	return trat.Errorf(trat.ReasonReplacementLimit, "subject_token", format, args...)
}

// merge adds members to an object that stays as it is (draft section 13.15): a member
// that is there already may be given again, and not be given another value.
func (r *rule) merge(before trat.Object, constructions []construction, members map[string]any) (trat.Object, error) {
	added := len(members)
	for name, raw := range before.Members() {
		value, again := members[name]
		if !again {
			members[name] = json.RawMessage(raw)
			continue
		}
		added--
		text, err := json.Marshal(value)
		if err != nil || !samejson.Equal(raw, string(text)) {
			// The rule makes the member, so that its name is the policy's text and no claim.
			by := constructionOf(constructions, name)
			return trat.Object{}, trat.Errorf(trat.ReasonReplacementDenied, by.parameter(),
				"rule %q: %s.%s, which the transaction has, would change", r.name, by.claim, name)
		}
	}
	if added == 0 {
		return before, nil // byte by byte
	}
	o, err := trat.NewObject(members)
	if err != nil {
		return trat.Object{}, trat.Errorf(trat.ReasonTokenTooLarge, "", "rule %q: the context cannot be built: %w", r.name, err)
	}
	return o, nil
}

// constructionOf returns the construction of the member of that name.
func constructionOf(constructions []construction, name string) *construction {
	i := slices.IndexFunc(constructions, func(c construction) bool { return c.name == name })
	return &constructions[i]
}
