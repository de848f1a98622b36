package interceptors

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// chainRule is what a rule says about the call chain. Its zero value demands the most:
// all links, none of them used before.
type chainRule struct {
	mode                callchain.Mode // zero: ModePath
	replay              replayMode
	through, notThrough []spiffeid.Matcher
	maxLinks            int // zero: callchain.MaxLinks
	strictTrace         bool
}

// replayMode is how a method is kept from being called twice by one statement.
type replayMode uint8

const (
	replayJTI  replayMode = iota // each link is accepted once
	replayOnce                   // and so is each request of a transaction
	replayOff
)

// ChainHead demands only the last link of the call chain: that the caller itself signed
// that it makes this call, with this TraT. The links before it are known by hash, and
// judged by offline audit only. A chain then has one size at any depth. What path mode
// promises besides, that a stolen TraT is useless to a workload that the request did not
// come through, head mode does not: NewServer refuses the rule without FromCallers.
func (r Rule) ChainHead() Rule { return r.withChainMode(callchain.ModeHead) }

// ChainOff demands no call chain and reads none. The handler's context has none either,
// and calls from there go on without one. Like ChainHead, it needs FromCallers.
func (r Rule) ChainOff() Rule { return r.withChainMode(callchain.ModeOff) }

func (r Rule) withChainMode(mode callchain.Mode) Rule {
	if r.chain.mode != 0 && r.chain.mode != mode {
		r.problems = append(slices.Clip(r.problems), errors.New("ChainHead and ChainOff exclude each other"))
	}
	r.chain.mode = mode
	return r
}

// Through demands that the request came through certain workloads: each matcher must
// accept the issuer of some link, the direct caller's included. Repeated use adds
// matchers. A call that came another way is refused with POLICY_DENIED. Only in path
// mode are there links to look at, and only those since the TraT was replaced last.
func (r Rule) Through(workloads ...spiffeid.Matcher) Rule {
	if len(workloads) == 0 {
		r.problems = append(slices.Clip(r.problems), errors.New("Through names nobody"))
	}
	r.chain.through = append(slices.Clip(r.chain.through), workloads...)
	return r
}

// NotThrough demands that the request came through none of certain workloads: no matcher
// may accept the issuer of any link. Otherwise it is like Through. A TraT that replaces
// another in the middle of a chain is refused too: who stands in the part before it is not
// known here. A workload that is compromised can hide a detour that it made itself
// (docs/security-model.md).
func (r Rule) NotThrough(workloads ...spiffeid.Matcher) Rule {
	if len(workloads) == 0 {
		r.problems = append(slices.Clip(r.problems), errors.New("NotThrough names nobody"))
	}
	r.chain.notThrough = append(slices.Clip(r.chain.notThrough), workloads...)
	return r
}

// MaxLinks bounds the links of a chain, 1 to callchain.MaxLinks; with 1 only the
// workload that requested the TraT may call. A longer chain is refused with
// CHAIN_TOO_DEEP. Only in path mode are links counted, and only those since the TraT was
// replaced last: a workload that may replace it can be called through more.
func (r Rule) MaxLinks(n int) Rule {
	if n < 1 || n > callchain.MaxLinks {
		r.problems = append(slices.Clip(r.problems), fmt.Errorf("MaxLinks: %d is not 1 to %d", n, callchain.MaxLinks))
	}
	r.chain.maxLinks = n
	return r
}

// StrictTrace refuses calls, with CHAIN_LINK_INVALID, whose traceparent is not the span
// that the caller signed, or that have no span at all. Without it a difference is
// reported only, because a proxy that makes spans of its own causes one.
func (r Rule) StrictTrace() Rule {
	r.chain.strictTrace = true
	return r
}

// Once accepts each request of a transaction once, whoever sends it and by whatever link:
// a second call of the method with the same txn and an equal message is refused with
// CHAIN_REPLAYED, for as long as any TraT of the transaction can be good: those that replace
// this one included. Of a streaming method one call is accepted per transaction.
//
// Messages are equal when their known fields are, those in a google.protobuf.Any of a type
// that this program knows included. A field with presence that is set to its default differs
// from one that is not set: where a handler does not tell them apart, a Check must.
// Deterministic encoding makes equal messages equal within one build of a program; replicas
// of different builds may differ on rare messages.
//
// A call counts from the moment in which all other checks have passed, whatever the
// handler then returns: a caller that must try again needs a new request or
// transaction, and proxies and retry policies must not. NewServer wants to know where
// to remember: WithOnceStore, or SingleReplica.
func (r Rule) Once() Rule { return r.withReplay(replayOnce) }

// ReplayOff lets a link be used again until it expires, by the same caller for the same
// method and TraT. It is for idempotent methods behind proxies that send the same bytes
// again.
func (r Rule) ReplayOff() Rule { return r.withReplay(replayOff) }

func (r Rule) withReplay(mode replayMode) Rule {
	if r.chain.replay != replayJTI && r.chain.replay != mode {
		r.problems = append(slices.Clip(r.problems), errors.New("Once and ReplayOff exclude each other"))
	}
	r.chain.replay = mode
	return r
}

// isZero reports whether the rule said nothing about the chain.
func (c chainRule) isZero() bool {
	return c.mode == 0 && c.replay == replayJTI && len(c.through)+len(c.notThrough)+c.maxLinks == 0 && !c.strictTrace
}

// validate returns what is wrong with c in a rule that names its direct callers, or not.
func (c chainRule) validate(namesCallers bool) (problems []error) {
	isNil := func(m spiffeid.Matcher) bool { return m == nil }
	if slices.ContainsFunc(c.through, isNil) || slices.ContainsFunc(c.notThrough, isNil) {
		problems = append(problems, errors.New("Through or NotThrough has a nil matcher"))
	}
	if c.mode == callchain.ModeHead || c.mode == callchain.ModeOff {
		if !namesCallers {
			problems = append(problems, fmt.Errorf("chain mode %s needs FromCallers", c.mode))
		}
		if len(c.through)+len(c.notThrough)+c.maxLinks > 0 {
			problems = append(problems, errors.New("Through, NotThrough and MaxLinks are for chain mode path"))
		}
	}
	if c.mode == callchain.ModeOff && c.strictTrace {
		problems = append(problems, errors.New("StrictTrace needs a chain"))
	}
	return problems
}

// withDefaults returns c with what it left open.
func (c chainRule) withDefaults() chainRule {
	if c.mode == 0 {
		c.mode = callchain.ModePath
	}
	if c.maxLinks == 0 {
		c.maxLinks = callchain.MaxLinks
	}
	return c
}

// judge decides whether a verified chain, which came with token, is what the rule wants.
func (c *chainRule) judge(token *trat.Token, chain *callchain.Chain) error {
	if chain.Len() > c.maxLinks {
		return trat.Errorf(trat.ReasonChainTooDeep, "", "%d links, the rule permits %d", chain.Len(), c.maxLinks)
	}
	avoided := func(m spiffeid.Matcher) bool { return !chain.Passes(m) }
	if slices.ContainsFunc(c.through, avoided) {
		return trat.Errorf(trat.ReasonPolicyDenied, "through", "the request did not come through a workload that the rule demands")
	}
	if len(c.notThrough) > 0 && token.CallChainHash() != [32]byte{} {
		return trat.Errorf(trat.ReasonPolicyDenied, "through", "a part of the chain ended with another token, and the rule excludes workloads")
	}
	if slices.ContainsFunc(c.notThrough, chain.Passes) {
		return trat.Errorf(trat.ReasonPolicyDenied, "through", "the request came through a workload that the rule excludes")
	}
	return nil
}
