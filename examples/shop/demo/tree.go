package main

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// hop is one call of the transaction: a service's span, with the time that its
// caller waited.
type hop struct {
	service, method string
	took            time.Duration
	result          string // txn_token.result
	txn, token      string // transaction id and token hash
	chain           string // txn_chain.result
	signer          string // who signed the link: the mTLS peer, which it was held to
	depth, mode     string // of the link
	link, parent    string // hashes
	start           time.Time
	calls           []*hop
}

// call names a hop that must be there.
type call struct{ service, method string }

// findRoot returns the first server span of c; the transaction's trace begins there.
func findRoot(spans []span, c call) (span, bool) {
	for _, s := range spans {
		if isCall(s, c) {
			return s, true
		}
	}
	return span{}, false
}

func isCall(s span, c call) bool {
	return s.kind == tracepb.Span_SPAN_KIND_SERVER && s.service == c.service && shortMethod(s) == c.method
}

// complete reports whether the trace that begins with root has every wanted call,
// each with the span of its caller.
func complete(spans []span, root call, want []call) bool {
	first, found := findRoot(spans, root)
	if !found {
		return false
	}
	byID := make(map[string]span)
	for _, s := range spans {
		byID[s.id] = s
	}
	for _, c := range want {
		if !slices.ContainsFunc(spans, func(s span) bool {
			_, hasCaller := byID[s.parent]
			return s.trace == first.trace && hasCaller && isCall(s, c)
		}) {
			return false
		}
	}
	return true
}

// newTree makes the tree of calls below root.
func newTree(spans []span, root span) *hop {
	byID := make(map[string]span)
	for _, s := range spans {
		byID[s.id] = s
	}
	hops := make(map[string]*hop) // by id of the server span
	for _, s := range spans {
		if s.trace == root.trace && s.kind == tracepb.Span_SPAN_KIND_SERVER {
			hops[s.id] = newHop(s, byID[s.parent])
		}
	}
	for id, h := range hops {
		if id == root.id {
			continue
		}
		if above := hops[servedBy(byID, byID[id].parent)]; above != nil {
			above.calls = append(above.calls, h)
		}
	}
	for _, h := range hops {
		slices.SortFunc(h.calls, func(a, b *hop) int {
			return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.method, b.method))
		})
	}
	return hops[root.id]
}

func newHop(server, client span) *hop {
	h := &hop{
		service: server.service,
		method:  shortMethod(server),
		start:   server.start,
		took:    server.end.Sub(server.start),
		result:  server.attrs["txn_token.result"],
		txn:     server.attrs["txn_token.txn"],
		token:   server.attrs["txn_token.hash"],
		chain:   server.attrs["txn_chain.result"],
		depth:   server.attrs["txn_chain.depth"],
		mode:    server.attrs["txn_chain.mode"],
		link:    server.attrs["txn_chain.link.hash"],
		parent:  server.attrs["txn_chain.parent.hash"],
	}
	if client.kind == tracepb.Span_SPAN_KIND_CLIENT {
		h.took = client.end.Sub(client.start)
	}
	if h.link != "" {
		h.signer = path.Base(server.attrs["txn_chain.peer.id"])
	}
	return h
}

// servedBy returns the id of the nearest server span, from id upwards.
func servedBy(byID map[string]span, id string) string {
	for {
		s, found := byID[id]
		if !found || s.kind == tracepb.Span_SPAN_KIND_SERVER {
			return id
		}
		id = s.parent
	}
}

// shortMethod is "Service/Method", without the package.
func shortMethod(s span) string {
	service, method, _ := strings.Cut(s.attrs["rpc.method"], "/")
	return service[strings.LastIndex(service, ".")+1:] + "/" + method
}

// print writes the tree as a table.
func (h *hop) print(w io.Writer) {
	const row = "  %-47s %8s  %-7s  %-8s  %-7s  %-9s  %-5s  %-4s  %s\n"
	fmt.Fprintf(w, row, "call", "time", "verdict", "token", "chain", "signed by", "depth", "mode", "link")
	h.walk("", "", func(name string, h *hop) {
		fmt.Fprintf(w, row, name, fmt.Sprintf("%.1f ms", float64(h.took.Microseconds())/1000), orDash(h.result),
			orDash(short(h.token)), orDash(h.chain), orDash(h.signer), orDash(h.depth), orDash(h.mode), orDash(short(h.link)))
	})
}

// walk visits the tree depth first. first is what stands before h itself, rest
// before everything below it.
func (h *hop) walk(first, rest string, visit func(name string, h *hop)) {
	visit(fmt.Sprintf("%s%-9s %s", first, h.service, h.method), h)
	for i, c := range h.calls {
		if i < len(h.calls)-1 {
			c.walk(rest+"├─ ", rest+"│  ", visit)
		} else {
			c.walk(rest+"└─ ", rest+"   ", visit)
		}
	}
}

// short abbreviates an identifier to what still tells two apart on a page.
func short(s string) string {
	if len(s) > 8 {
		return s[:8]
	}
	return s
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
