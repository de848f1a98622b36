package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/metadata"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// chainAttacks are made by workloads that may call the method, with a token that is good:
// nothing but the call chain is in their way.
func chainAttacks() []attack {
	invalid := refusal("stocks", trat.ReasonChainLinkInvalid)
	return []attack{
		{"for comparison: the scheduler, after orders", acceptance, func(ctx context.Context, a *attacker) error {
			return a.reserveThrough(ctx, a.gateway, a.orders, a.scheduler)
		}},
		{"stolen token, the scheduler may call", refusal("stocks", trat.ReasonChainMissing), func(ctx context.Context, a *attacker) error {
			return a.reserve(ctx, a.scheduler)
		}},
		{"stolen token, and a chain of the thief's own", refusal("stocks", trat.ReasonChainRootMismatch), func(ctx context.Context, a *attacker) error {
			return a.reserveThrough(ctx, a.scheduler)
		}},
		{"stolen token with its chain", refusal("stocks", trat.ReasonChainPeerMismatch), func(ctx context.Context, a *attacker) error {
			stolen, err := a.chainToStocks(ctx, a.stolen, a.gateway, a.orders)
			if err != nil {
				return err
			}
			return a.reserve(ctx, a.scheduler, callchain.MetadataKey, stolen)
		}},
		{"a hop cut out of the chain", invalid, func(ctx context.Context, a *attacker) error { return a.cutOut(ctx) }},
		{"a link of another transaction put in", invalid, func(ctx context.Context, a *attacker) error { return a.splice(ctx) }},
		{"a chain of seven links", refusal("stocks", trat.ReasonChainTooDeep), func(ctx context.Context, a *attacker) error { return a.lengthen(ctx) }},
		{"a detour on the way to payments", refusal("payments", trat.ReasonChainTooDeep), func(ctx context.Context, a *attacker) error {
			draft, err := a.draft(a.stolen, "payments", shopv1.PaymentsService_Charge_FullMethodName)
			if err != nil {
				return err
			}
			detour, err := chain(ctx, draft, a.gateway, a.orders, a.gateway, a.orders)
			if err != nil {
				return err
			}
			return a.charge(metadata.AppendToOutgoingContext(ctx, callchain.MetadataKey, detour))
		}},
		{"the same request again, byte by byte", refusal("stocks", trat.ReasonChainReplayed), func(ctx context.Context, a *attacker) error {
			once, err := a.chainToStocks(ctx, a.stolen, a.gateway, a.orders)
			if err != nil {
				return err
			}
			if err := a.reserve(ctx, a.orders, callchain.MetadataKey, once); err != nil {
				return fmt.Errorf("the first time: %w", err)
			}
			return a.reserve(ctx, a.orders, callchain.MetadataKey, once)
		}},
		{"the same charge again, with a new link", refusal("payments", trat.ReasonChainReplayed), func(ctx context.Context, a *attacker) error {
			if err := a.charge(ctx); err != nil {
				return fmt.Errorf("the first time: %w", err)
			}
			return a.charge(ctx)
		}},
		{"a forged traceparent", noticed, func(ctx context.Context, a *attacker) error { return a.forgeTrace(ctx) }},
	}
}

// reserve calls stocks as the workload of source, with the stolen token.
func (a *attacker) reserve(ctx context.Context, source *workloadapi.X509Source, kv ...string) error {
	return a.reserveWith(ctx, source, append(kv, "txn-token", a.stolen)...)
}

func (a *attacker) reserveWith(ctx context.Context, source *workloadapi.X509Source, kv ...string) error {
	conn, err := a.dial(source, "stocks")
	if err != nil {
		return err
	}
	_, err = shopv1.NewStocksServiceClient(conn).Reserve(metadata.AppendToOutgoingContext(ctx, kv...),
		&shopv1.ReserveRequest{Sku: sku, Quantity: quantity})
	return err
}

// reserveThrough calls stocks as the last workload on the way, with a right chain.
func (a *attacker) reserveThrough(ctx context.Context, way ...*workloadapi.X509Source) error {
	encoded, err := a.chainToStocks(ctx, a.stolen, way...)
	if err != nil {
		return err
	}
	return a.reserve(ctx, way[len(way)-1], callchain.MetadataKey, encoded)
}

// charge calls payments as orders.
func (a *attacker) charge(ctx context.Context) error {
	conn, err := a.dial(a.orders, "payments")
	if err != nil {
		return err
	}
	return charge(ctx, conn, amountCents, a.stolen)
}

// draft is what a workload knows of its call of a service.
func (a *attacker) draft(raw, service, method string) (callchain.Draft, error) {
	token, err := a.verifier.Verify(raw)
	return callchain.Draft{Audience: workload(service), Method: method, Token: token}, err
}

// chainToStocks is the call chain of a call of stocks with the token raw.
func (a *attacker) chainToStocks(ctx context.Context, raw string, way ...*workloadapi.X509Source) (string, error) {
	draft, err := a.draft(raw, "stocks", shopv1.StocksService_Reserve_FullMethodName)
	if err != nil {
		return "", err
	}
	return chain(ctx, draft, way...)
}

// alteredChain is chainToStocks with a change.
func (a *attacker) alteredChain(ctx context.Context, change func(*pieces) error, way ...*workloadapi.X509Source) (string, error) {
	encoded, err := a.chainToStocks(ctx, a.stolen, way...)
	if err != nil {
		return "", err
	}
	p, err := takeApart(encoded)
	if err != nil {
		return "", err
	}
	if err := change(&p); err != nil {
		return "", err
	}
	return p.String(), nil
}

// cutOut is the scheduler that pretends that the gateway called it, and not orders.
func (a *attacker) cutOut(ctx context.Context) error {
	encoded, err := a.alteredChain(ctx, func(p *pieces) error {
		p.full = slices.Delete(p.full, 1, 2)
		p.certificates = slices.Delete(p.certificates, 1, 2)
		p.short[ownLeafAt]--
		return nil
	}, a.gateway, a.orders, a.scheduler)
	if err != nil {
		return err
	}
	return a.reserve(ctx, a.scheduler, callchain.MetadataKey, encoded)
}

// splice is orders that continues a call of the gateway in another transaction.
func (a *attacker) splice(ctx context.Context) error {
	another, err := a.newToken(ctx)
	if err != nil {
		return err
	}
	theirs, err := a.chainToStocks(ctx, another, a.gateway, a.orders)
	if err != nil {
		return err
	}
	other, err := takeApart(theirs)
	if err != nil {
		return err
	}
	encoded, err := a.alteredChain(ctx, func(p *pieces) error {
		p.full[0] = other.full[0]
		return nil
	}, a.gateway, a.orders)
	if err != nil {
		return err
	}
	return a.reserve(ctx, a.orders, callchain.MetadataKey, encoded)
}

// lengthen puts one link more into a chain than there may be. What makes chains does not.
func (a *attacker) lengthen(ctx context.Context) error {
	encoded, err := a.alteredChain(ctx, func(p *pieces) error {
		p.full = append(p.full, p.full[0])
		return nil
	}, a.gateway, a.orders, a.gateway, a.orders, a.gateway, a.orders)
	if err != nil {
		return err
	}
	return a.reserve(ctx, a.orders, callchain.MetadataKey, encoded)
}

// forgeTrace is orders that hides its call in the trace of another request, by sending
// another traceparent than it signed. Without StrictTrace the call goes on.
func (a *attacker) forgeTrace(ctx context.Context) error {
	draft, err := a.draft(a.stolen, "stocks", shopv1.StocksService_Reserve_FullMethodName)
	if err != nil {
		return err
	}
	var ids [48]byte
	_, _ = rand.Read(ids[:]) // does not fail
	copy(draft.Trace.TraceID[:], ids[:])
	copy(draft.Trace.SpanID[:], ids[16:])
	encoded, err := chain(ctx, draft, a.gateway, a.orders)
	if err != nil {
		return err
	}
	forged := fmt.Sprintf("00-%s-%s-01", hex.EncodeToString(ids[24:40]), hex.EncodeToString(ids[40:]))
	return a.reserve(ctx, a.orders, callchain.MetadataKey, encoded, "traceparent", forged)
}

// keptPast is less than what a link may be older than its token.
const keptPast = 2 * time.Second

// expiredKey is tried with a key of orders that the attacker kept until its certificate
// had expired.
var expiredKey = attack{
	name: "a back-dated link, its key expired", must: refusal("stocks", trat.ReasonChainLinkInvalid),
	try: func(ctx context.Context, a *attacker) error {
		if err := sleep(ctx, a.keptUntil().Add(100*time.Millisecond)); err != nil {
			return err
		}
		raw, err := a.newToken(ctx)
		if err != nil {
			return err
		}
		draft, err := a.draft(raw, "stocks", shopv1.StocksService_Reserve_FullMethodName)
		if err != nil {
			return err
		}
		if draft.Parent, err = received(ctx, draft.Token, nil, a.gateway, a.orders); err != nil {
			return err
		}
		then := a.keptUntil().Add(-500 * time.Millisecond)
		encoded, err := signed(ctx, keptSVID{a.kept}, draft, callchain.WithClock(func() time.Time { return then }))
		if err != nil {
			return err
		}
		return a.reserveWith(ctx, a.orders, callchain.MetadataKey, encoded, "txn-token", raw)
	},
}

// keptSVID is the source of one SVID that is never renewed.
type keptSVID struct{ svid *x509svid.SVID }

// GetX509SVID implements x509svid.Source.
func (k keptSVID) GetX509SVID() (*x509svid.SVID, error) { return k.svid, nil }

// keptUntil is when the certificate of the kept key expires. If that was too long ago for
// a link to be dated back to it, another key is kept.
func (a *attacker) keptUntil() time.Time {
	if time.Since(a.kept.Certificates[0].NotAfter) > keptPast {
		if present, err := a.orders.GetX509SVID(); err == nil {
			a.kept = present
		}
	}
	return a.kept.Certificates[0].NotAfter
}

// noticedTraces waits until the spans of as many calls say that their trace is not the
// one that was signed.
func (s *shop) noticedTraces(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, spansTimeout, errors.New("no span says that a trace was forged"))
	defer cancel()
	_, err := s.spans.wait(ctx, func(spans []span) bool {
		n := 0
		for _, s := range spans {
			if s.attrs["txn_chain.trace_match"] == "false" {
				n++
			}
		}
		return n >= want
	})
	return err
}
