package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
)

// accepted is the outcome of a call that was not refused.
const accepted = "accepted"

// Who refuses without a span of a server: what every workload has on its own side of a
// connection, before anything is sent, and a handshake.
const (
	carrier     = "its carrier"
	tokenClient = "its client"
	ordersTLS   = "orders' TLS"
)

// spanless are those three.
var spanless = []string{carrier, tokenClient, ordersTLS}

// verdict is how an attack must end.
type verdict struct {
	by     string // the process of the shop that refuses, or one of spanless
	reason string
	seen   string // what the caller learns: the reason, or less
	field  string // of POLICY_DENIED: what of the request it is about, as the service's span says
}

// acceptance is the verdict on a control, and noticed that on a call that is not refused
// but leaves a mark: its trace is not the one that was signed.
var (
	acceptance = verdict{reason: accepted, seen: accepted}
	noticed    = verdict{reason: "accepted, trace_match=false", seen: accepted}
)

func refusal(by string, reason trat.Reason) verdict {
	return verdict{by: by, reason: string(reason), seen: string(reason)}
}

// told is v for a caller who learns a code in place of the reason.
func (v verdict) told(code codes.Code) verdict {
	v.seen = code.String()
	return v
}

// about is v for a field of the request that is bound to the transaction.
func (v verdict) about(field string) verdict {
	v.field = field
	return v
}

// String is the reason, with the field at fault, and in brackets what the caller learns
// instead.
func (v verdict) String() string {
	switch {
	case v.field != "":
		return v.reason + " at " + v.field
	case v.seen != v.reason && v != noticed:
		return v.reason + " (" + v.seen + ")"
	}
	return v.reason
}

// outcome is the one word for how a call ended: the reason of a refusal, here or at
// the other end, or the gRPC code where none is told.
func outcome(err error) string {
	if err == nil {
		return accepted
	}
	if reason, ok := interceptors.ReasonFrom(err); ok {
		return string(reason)
	}
	return status.Code(err).String()
}

// refusedAsSaid waits until the services have exported a span for each refusal that
// the attacks name, made by the service and for the reason that they name, and
// demands that there are no others: the caller's side alone cannot tell who refused.
func (s *shop) refusedAsSaid(ctx context.Context, all []attack) error {
	want := make(map[verdict]int)
	for _, attack := range all {
		if v := attack.must; v.seen != accepted && !slices.Contains(spanless, v.by) {
			want[refusal(v.by, trat.Reason(v.reason)).about(v.field)]++
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, spansTimeout, errors.New("no more came in time"))
	defer cancel()
	spans, err := s.spans.wait(ctx, func(spans []span) bool {
		got := refusals(spans)
		for v, n := range want {
			if got[v] < n {
				return false
			}
		}
		return true
	})
	return errors.Join(err, compareRefusals(want, refusals(spans)))
}

// refusals counts the server spans of refused calls.
func refusals(spans []span) map[verdict]int {
	count := make(map[verdict]int)
	for _, s := range spans {
		if s.kind == tracepb.Span_SPAN_KIND_SERVER && slices.Contains([]string{"denied", "error"}, s.attrs["txn_token.result"]) {
			v := refusal(s.service, trat.Reason(s.attrs["error.type"]))
			if v.reason == string(trat.ReasonPolicyDenied) {
				v.field = s.attrs["txn_token.field"]
			}
			count[v]++
		}
	}
	return count
}

// compareRefusals is an error with each difference.
func compareRefusals(want, got map[verdict]int) error {
	both := maps.Clone(want)
	maps.Copy(both, got)
	var problems []string
	for v := range both {
		if want[v] != got[v] {
			problems = append(problems, fmt.Sprintf("%s refused %d calls with %s, not %d", v.by, got[v], v, want[v]))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return errors.New(strings.Join(problems, "\n"))
}
