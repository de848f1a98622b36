package trat

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
)

// WorkloadChain is the claim req_wl_chain: the workloads that requested the tokens of one
// transaction, the first one first, each as it is in req_wl. A replaced TraT has one, of
// at least two (draft section 13.15: the token service keeps the requesters of
// the tokens that were replaced). It is immutable; == compares it. The zero
// WorkloadChain is an absent one.
//
// It shows which workloads there are, so that fmt and log/slog print only its length.
type WorkloadChain struct{ text string } // with a space between two

// NewWorkloadChain returns the chain of the given workloads. There are two to
// MaxWorkloadChain, each a bounded text without control characters, comma and space; a
// workload may be there more than once. Failures are an *Error with
// ReasonParameterInvalid and Field "req_wl_chain".
func NewWorkloadChain(workloads ...string) (WorkloadChain, error) {
	if len(workloads) < 2 || len(workloads) > MaxWorkloadChain {
		return WorkloadChain{}, &Error{Reason: ReasonParameterInvalid, Field: "req_wl_chain", Err: errRange}
	}
	for _, workload := range workloads {
		err := checkIssuedText(workload, maxWorkloadSize)
		if err == nil {
			err = checkWorkload(workload)
		}
		if err != nil {
			return WorkloadChain{}, &Error{Reason: ReasonParameterInvalid, Field: "req_wl_chain", Err: err}
		}
	}
	return WorkloadChain{text: strings.Join(workloads, " ")}, nil
}

// With returns c and workload behind it, which is held to the same rules, with the same
// errors. The zero WorkloadChain has no requester to add to and fails.
func (c WorkloadChain) With(workload string) (WorkloadChain, error) {
	return NewWorkloadChain(append(slices.Collect(c.Workloads()), workload)...)
}

// claimChain reads req_wl_chain.
func claimChain(v jsonValue) (WorkloadChain, error) {
	if v.kind != jsonArray {
		return WorkloadChain{}, errWrongType
	}
	var workloads [MaxWorkloadChain]string
	n := 0
	for element := range elements(v.raw) {
		if n == len(workloads) {
			return WorkloadChain{}, errRange
		}
		workload, err := claimWorkload(element)
		if err != nil {
			return WorkloadChain{}, err
		}
		workloads[n] = workload
		n++
	}
	if n < 2 {
		return WorkloadChain{}, errRange
	}
	return WorkloadChain{text: strings.Join(workloads[:n], " ")}, nil
}

// IsZero reports whether c is absent.
func (c WorkloadChain) IsZero() bool { return c.text == "" }

// Len returns the number of workloads, 0 for the zero WorkloadChain.
func (c WorkloadChain) Len() int {
	if c.text == "" {
		return 0
	}
	return strings.Count(c.text, " ") + 1
}

// Workloads yields the workloads, the first requester first.
func (c WorkloadChain) Workloads() iter.Seq[string] {
	if c.text == "" {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(c.text, " ")
}

// Last returns the newest requester, "" for the zero WorkloadChain.
func (c WorkloadChain) Last() string {
	return c.text[strings.LastIndexByte(c.text, ' ')+1:]
}

// Count returns how often workload is in c.
func (c WorkloadChain) Count(workload string) int {
	n := 0
	for have := range c.Workloads() {
		if have == workload {
			n++
		}
	}
	return n
}

// Equal reports whether c and other are the same workloads in the same order.
func (c WorkloadChain) Equal(other WorkloadChain) bool { return c == other }

// String returns the length, not the content.
func (c WorkloadChain) String() string {
	return fmt.Sprintf("trat.WorkloadChain(%d workloads)", c.Len())
}

// Format prints what String returns, whatever the verb.
func (c WorkloadChain) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns what String returns.
func (c WorkloadChain) LogValue() slog.Value { return slog.StringValue(c.String()) }
