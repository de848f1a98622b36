package chainaudit

import (
	"fmt"
	"slices"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// servers returns the names, sorted, each once, without empty ones.
func servers(names ...string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// peerName is the caller as the server saw it.
func peerName(c *chainlog.Call) string {
	if c.Peer.IsZero() {
		return "an unknown caller"
	}
	return c.Peer.String()
}

// refusals say what a reason means for a call.
var refusals = map[trat.Reason]string{
	trat.ReasonChainMissing:      "it came without the chain of signed calls that the method requires",
	trat.ReasonChainLinkInvalid:  "a link of its chain does not hold: it was changed, or made for another call, token or time",
	trat.ReasonChainPeerMismatch: "the chain was signed by somebody else than who called",
	trat.ReasonChainRootMismatch: "its chain does not begin with the workload for which the token was issued",
	trat.ReasonChainTooDeep:      "its chain is longer than permitted",
	trat.ReasonChainReplayed:     "the same call had been accepted before",
	trat.ReasonPolicyDenied:      "the rules of the method do not permit it",
	trat.ReasonPeerDenied:        "the caller may not call the method",
}

// refusal is what there is to say about a refused call: that somebody tried.
func refusal(c *judged) Finding {
	why := refusals[trat.Reason(c.Reason)]
	if why == "" {
		why = "it did not pass another check"
	}
	return Finding{
		Kind: KindRefused, Severity: SeverityInfo, Log: c.file, Line: c.line,
		Servers: servers(c.Server.String(), c.Peer.String()),
		Text:    fmt.Sprintf("%s refused a call of %s by %s: %s (%s).", c.Server, c.Method, peerName(c.Call), why, c.Reason),
	}
}

// contradiction is a record that cannot be true, or is of a server that does not do its
// part.
func contradiction(c *judged, what string) Finding {
	return Finding{
		Kind: KindRecordMismatch, Severity: SeverityAlarm, Log: c.file, Line: c.line,
		Servers: servers(c.Server.String(), c.Peer.String()),
		Text:    fmt.Sprintf("According to its log, %s %s (a call of %s by %s).", c.Server, what, c.Method, peerName(c.Call)),
	}
}
