package interceptors

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// ChainHead demands only the last link of the call chain: that the caller itself signed
// that it makes this call, with this TraT. The links before it are known by hash, and
// judged by offline audit only. A chain then has one size at any depth. What path mode
// promises besides, that a stolen TraT is useless to a workload that the request did not
// come through, head mode does not: the method must name its callers, here with FromCallers
// or in its proto file, or CheckCoverage fails.
func (r Rule) ChainHead() Rule { return r.withChainMode(rules.ChainHead) }

// ChainOff demands no call chain and reads none. The handler's context has none either,
// and calls from there go on without one. Like ChainHead, it needs callers.
func (r Rule) ChainOff() Rule { return r.withChainMode(rules.ChainOff) }

func (r Rule) withChainMode(mode rules.ChainMode) Rule {
	if r.data.Chain.Mode != 0 && r.data.Chain.Mode != mode {
		r = r.problem(errors.New("ChainHead and ChainOff exclude each other"))
	}
	r.data.Chain.Mode = mode
	return r
}

// Through demands that the request came through certain workloads: each matcher must
// accept the issuer of some link, the direct caller's included. Repeated use adds
// matchers. A call that came another way is refused with POLICY_DENIED. Only in path
// mode are there links to look at, and only those since the TraT was replaced last.
func (r Rule) Through(workloads ...spiffeid.Matcher) Rule {
	if len(workloads) == 0 {
		r = r.problem(errors.New("Through names nobody"))
	}
	r.through = append(slices.Clip(r.through), workloads...)
	return r
}

// NotThrough demands that the request came through none of certain workloads: no matcher
// may accept the issuer of any link. Otherwise it is like Through. A TraT that replaces
// another in the middle of a chain is refused too: who stands in the part before it is not
// known here. A workload that is compromised can hide a detour that it made itself
// (docs/security-model.md).
func (r Rule) NotThrough(workloads ...spiffeid.Matcher) Rule {
	if len(workloads) == 0 {
		r = r.problem(errors.New("NotThrough names nobody"))
	}
	r.notThrough = append(slices.Clip(r.notThrough), workloads...)
	return r
}

// MaxLinks bounds the links of a chain, 1 to callchain.MaxLinks; with 1 only the
// workload that requested the TraT may call. A longer chain is refused with
// CHAIN_TOO_DEEP. Only in path mode are links counted, and only those since the TraT was
// replaced last: a workload that may replace it can be called through more.
func (r Rule) MaxLinks(n int) Rule {
	if n < 1 || n > callchain.MaxLinks {
		r = r.problem(fmt.Errorf("MaxLinks: %d is not 1 to %d", n, callchain.MaxLinks))
	}
	r.data.Chain.MaxLinks = n
	return r
}

// StrictTrace refuses calls, with CHAIN_LINK_INVALID, whose traceparent is not the span
// that the caller signed, or that have no span at all. Without it a difference is
// reported only, because a proxy that makes spans of its own causes one.
func (r Rule) StrictTrace() Rule {
	r.data.Chain.StrictTrace = true
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
func (r Rule) Once() Rule { return r.withReplay(rules.ReplayOnce) }

// ReplayOff lets a link be used again until it expires, by the same caller for the same
// method and TraT. It is for idempotent methods behind proxies that send the same bytes
// again.
func (r Rule) ReplayOff() Rule { return r.withReplay(rules.ReplayOff) }

func (r Rule) withReplay(mode rules.Replay) Rule {
	if r.data.Replay != 0 && r.data.Replay != mode {
		r = r.problem(errors.New("Once and ReplayOff exclude each other"))
	}
	r.data.Replay = mode
	return r
}
