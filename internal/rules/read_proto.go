package rules

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
)

// ruleOf returns what an option or an entry of an overlay says, and what of it cannot be
// said so; the rule's own problems are further ones.
func ruleOf(from *tratv1.Rule) (Rule, problems) {
	var p problems
	rule := Rule{
		Scopes:      from.GetScopes(),
		Tctx:        from.GetTctx(),
		Chain:       p.chainOf(from.GetChain()),
		Replay:      enumOf(&p, "replay", from.GetReplay(), replays),
		Stream:      p.streamOf(from.GetStream()),
		Enforcement: enumOf(&p, "enforcement", from.GetEnforcement(), enforcements),
		When:        from.GetWhen(),
	}
	if list := from.GetAnyScopes(); len(list) > 0 {
		rule.AnyScopes = [][]string{list}
	}
	if list := from.GetCallers(); len(list) > 0 {
		rule.Callers = [][]string{list}
	}
	for _, b := range from.GetBindings() {
		rule.Bindings = append(rule.Bindings, binding.Of(b.GetField(), b.GetBind()))
	}
	if e := from.GetAccessEvaluation(); e != nil {
		rule.Evaluation = &Evaluation{ResourceType: e.GetResourceType(), ResourceID: e.GetResourceId()}
	}
	if e := from.GetExempt(); e != nil {
		rule.Exempt = e.GetReason()
		if rule.Exempt == "" {
			p.add("exempt.reason", "is missing")
		}
	}
	return rule, p
}

func (p *problems) chainOf(from *tratv1.Chain) Chain {
	return Chain{
		Mode:        enumOf(p, "chain.mode", from.GetMode(), chainModes),
		Through:     from.GetThrough(),
		NotThrough:  from.GetNotThrough(),
		MaxLinks:    p.links(int64(from.GetMaxLinks())),
		StrictTrace: from.GetStrictTrace(),
	}
}

func (p *problems) streamOf(from *tratv1.Stream) Stream {
	return Stream{
		Expiry: enumOf(p, "stream.expiry", from.GetExpiry(), expiries),
		Grace:  p.duration("stream.grace", from.GetGrace()),
		MaxAge: p.duration("stream.max_age", from.GetMaxAge()),
		Drain:  p.duration("stream.drain", from.GetDrain()),
	}
}

// duration reads a length of time that is not set, which is 0, or positive.
func (p *problems) duration(field string, from *durationpb.Duration) time.Duration {
	if from == nil {
		return 0
	}
	if err := from.CheckValid(); err != nil || from.AsDuration() <= 0 {
		p.add(field, "want more than 0s")
		return 0
	}
	return from.AsDuration()
}

// What the enums of rules.proto are here.
var (
	chainModes = map[tratv1.ChainMode]ChainMode{
		tratv1.ChainMode_CHAIN_MODE_OFF:  ChainOff,
		tratv1.ChainMode_CHAIN_MODE_HEAD: ChainHead,
		tratv1.ChainMode_CHAIN_MODE_PATH: ChainPath,
	}
	replays = map[tratv1.Replay]Replay{
		tratv1.Replay_REPLAY_OFF:  ReplayOff,
		tratv1.Replay_REPLAY_JTI:  ReplayJTI,
		tratv1.Replay_REPLAY_ONCE: ReplayOnce,
	}
	expiries = map[tratv1.StreamExpiry]Expiry{
		tratv1.StreamExpiry_STREAM_EXPIRY_OPEN_ONLY:    ExpiryOpenOnly,
		tratv1.StreamExpiry_STREAM_EXPIRY_GRACE:        ExpiryGrace,
		tratv1.StreamExpiry_STREAM_EXPIRY_CLOSE_AT_EXP: ExpiryCloseAtExp,
	}
	enforcements = map[tratv1.Enforcement]Enforcement{
		tratv1.Enforcement_ENFORCEMENT_SHADOW:   Shadow,
		tratv1.Enforcement_ENFORCEMENT_PRESENCE: Presence,
		tratv1.Enforcement_ENFORCEMENT_STRICT:   Strict,
	}
)

// enumOf returns what from is among known, zero if it is not set.
func enumOf[P ~int32, E ~uint8](p *problems, field string, from P, known map[P]E) E {
	to, ok := known[from]
	if !ok && from != 0 {
		p.add(field, "%d is no value of it that this program knows", from)
	}
	return to
}
