package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// spansTimeout bounds the wait for the services' spans.
const spansTimeout = 10 * time.Second

var rootCall = call{"gateway", "StorefrontService/PlaceOrder"}

// expectedCalls are the hops below rootCall. The tree is printed when all are there.
var expectedCalls = []call{
	{"tratd", "TokenService/Exchange"},
	{"orders", "OrdersService/CreateOrder"},
	{"stocks", "StocksService/Reserve"},
	{"payments", "PaymentsService/Charge"},
	{"orders", "OrdersService/TrackOrder"},
	{"stocks", "StocksService/WatchReservation"},
}

// order places the order of the demo as alice, and prints its transaction.
func (s *shop) order(ctx context.Context, w io.Writer, a *attacker) error {
	resp, err := a.user.placeOrder(ctx, a.accessToken)
	if err != nil {
		return errors.Join(fmt.Errorf("the order was refused: %w", err), s.failed(err))
	}
	fmt.Fprintf(w, "\nThe order\n  %s orders %d x %s for %d.%02d: %s\n\n", a.user.name, quantity, sku,
		amountCents/100, amountCents%100, strings.Join(resp.GetProgress(), ", "))

	spans, err := s.spansOfOrder(ctx, time.Time{})
	root, found := findRoot(spans, rootCall)
	if !found {
		return errors.Join(errors.New("no span of the order"), err)
	}
	tree := newTree(spans, root)
	s.txn = tree.txn
	tree.print(w)
	if err := errors.Join(err, tree.check()); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n  transaction %s: one token at every hop, and a link for each, signed by its caller with the key of its\n"+
		"  X.509-SVID; each service verified token and links for itself\n", s.txn)
	return nil
}

// spansOfOrder waits for the spans of an order that was placed after began, and returns
// all that there are.
func (s *shop) spansOfOrder(ctx context.Context, began time.Time) ([]span, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, spansTimeout, errors.New("no more came in time"))
	defer cancel()
	return s.spans.wait(ctx, func(spans []span) bool {
		return complete(since(spans, began), rootCall, expectedCalls)
	})
}

// check demands that every call was judged, for one and the same transaction and
// token, and that the links of the calls make the same tree as their spans.
func (h *hop) check() error {
	problems := h.checkLinks(nil)
	h.walk("", "", func(_ string, c *hop) {
		if c != h && c.result != "ok" {
			problems = append(problems, fmt.Errorf("%s %s: verdict %q", c.service, c.method, c.result))
		}
		if c.txn != h.txn || c.token != h.token || c.txn == "" || c.token == "" {
			problems = append(problems, fmt.Errorf("%s %s: another transaction or token than the first call's", c.service, c.method))
		}
	})
	return errors.Join(problems...)
}

// checkLinks demands a good link for each call below the edge, but for that of the token
// service: of its caller, and continuing the link that came to its caller.
func (h *hop) checkLinks(above *hop) (problems []error) {
	if linked := above != nil && h.service != "tratd"; linked {
		parent, depth := above.link, 0
		if n, err := strconv.Atoi(above.depth); err == nil {
			depth = n + 1
		}
		if h.chain != "ok" || h.link == "" || h.signer != above.service || h.parent != parent || h.depth != strconv.Itoa(depth) {
			problems = append(problems, fmt.Errorf("%s %s: no link of %s that continues its own (%s)", h.service, h.method, above.service, orDash(h.chain)))
		}
	}
	for _, c := range h.calls {
		problems = append(problems, c.checkLinks(h)...)
	}
	return problems
}
