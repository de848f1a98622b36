package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// attack is one thing that must not work or, as a control, one that must.
type attack struct {
	name string
	must verdict
	try  func(ctx context.Context, a *attacker) error
}

// waits is how long the attack has to wait for the kept key to expire.
func (t attack) waits(a *attacker) time.Duration {
	if t.name != expiredKey.name {
		return 0
	}
	return max(0, time.Until(a.keptUntil()))
}

// attacks in the order in which they are tried. The one that has to wait for a token
// to expire is the last.
func attacks() []attack {
	return slices.Concat([]attack{control}, tokenAttacks(), callerAttacks(), chainAttacks(),
		exchangeAttacks(), networkAttacks(), []attack{expiredToken})
}

// control is the call that the token attacks imitate. If it is not accepted, their
// refusals prove nothing.
var control = attack{
	name: "for comparison: the same call, the real token", must: acceptance,
	try: func(ctx context.Context, a *attacker) error {
		return a.createOrder(ctx, a.gateway, amountCents, "txn-token", a.stolen)
	},
}

func tokenAttacks() []attack {
	return []attack{
		{"no token", refusal("orders", trat.ReasonTxnTokenMissing), func(ctx context.Context, a *attacker) error {
			return a.createOrder(ctx, a.gateway, amountCents)
		}},
		{"the token in authorization instead", refusal("orders", trat.ReasonTxnTokenMissing), func(ctx context.Context, a *attacker) error {
			return a.createOrder(ctx, a.gateway, amountCents, "authorization", "Bearer "+a.stolen)
		}},
		{"two tokens", refusal("orders", trat.ReasonTxnTokenMalformed), func(ctx context.Context, a *attacker) error {
			return a.createOrder(ctx, a.gateway, amountCents, "txn-token", a.stolen, "txn-token", a.stolen)
		}},
		{"forged token: signed with another key", refusal("orders", trat.ReasonTxnTokenInvalid), func(ctx context.Context, a *attacker) error {
			return a.withToken(ctx)(resigned(a.stolen))
		}},
		{"forged token: another subject, same signature", refusal("orders", trat.ReasonTxnTokenInvalid), func(ctx context.Context, a *attacker) error {
			return a.withToken(ctx)(altered(a.stolen, `alice"`, `admin"`))
		}},
		{"forged token: alg none, no signature", refusal("orders", trat.ReasonTxnTokenMalformed), func(ctx context.Context, a *attacker) error {
			return a.withToken(ctx)(unsigned(a.stolen), nil)
		}},
		{"token from another trust domain", refusal("orders", trat.ReasonTxnTokenAudience), func(ctx context.Context, a *attacker) error {
			details, err := orderDetails()
			if err != nil {
				return err
			}
			return a.withToken(ctx)(foreign(time.Now(), "order.create", details))
		}},
		{"token for another purpose", refusal("orders", trat.ReasonInsufficientScope), func(ctx context.Context, a *attacker) error {
			return a.withToken(ctx)(a.brief, nil)
		}},
		{"changed parameter: a lower amount", refusal("orders", trat.ReasonPolicyDenied).about("amount_cents"), func(ctx context.Context, a *attacker) error {
			return a.createOrder(ctx, a.gateway, 1, "txn-token", a.stolen)
		}},
	}
}

// expiredToken is tried as the gateway, with a token that has just been accepted as
// genuine.
var expiredToken = attack{
	name: "expired token", must: refusal("orders", trat.ReasonTxnTokenExpired),
	try: func(ctx context.Context, a *attacker) error {
		if err := sleep(ctx, a.briefEnds); err != nil {
			return err
		}
		return a.withToken(ctx)(a.brief, nil)
	},
}

// callerAttacks use a good token from the wrong place.
func callerAttacks() []attack {
	return []attack{
		{"stolen token, another workload calls", refusal("orders", trat.ReasonPeerDenied), func(ctx context.Context, a *attacker) error {
			return a.createOrder(ctx, a.mallory, amountCents, "txn-token", a.stolen)
		}},
		{"stolen token, payments called past orders", refusal("payments", trat.ReasonPeerDenied), func(ctx context.Context, a *attacker) error {
			conn, err := a.dial(a.gateway, "payments")
			if err != nil {
				return err
			}
			return charge(ctx, conn, amountCents, a.stolen)
		}},
		{"orders itself charges more than was agreed", refusal("payments", trat.ReasonPolicyDenied).about("amount_cents"), func(ctx context.Context, a *attacker) error {
			conn, err := a.dial(a.orders, "payments")
			if err != nil {
				return err
			}
			return charge(ctx, conn, 100*amountCents, a.stolen)
		}},
		{"no token on a stream", refusal("orders", trat.ReasonTxnTokenMissing), func(ctx context.Context, a *attacker) error {
			conn, err := a.dial(a.gateway, "orders")
			if err != nil {
				return err
			}
			stream, err := shopv1.NewOrdersServiceClient(conn).TrackOrder(ctx, &shopv1.TrackOrderRequest{OrderId: "ord-1"})
			if err != nil {
				return err
			}
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				return err
			}
			return nil
		}},
		// Not refused: the edge drops it, and the order goes through as any other.
		{"a user's own txn-token at the gateway: unused", acceptance, func(ctx context.Context, a *attacker) error {
			return a.bringToken(ctx)
		}},
		// The gateway tells outsiders a code and no reason.
		{"a user's access token without the scope", refusal("tratd", trat.ReasonScopeExceeded).told(codes.PermissionDenied), func(ctx context.Context, a *attacker) error {
			readOnly, err := a.user.accessToken(ctx, "orders:read")
			if err != nil {
				return err
			}
			_, err = a.user.placeOrder(ctx, readOnly)
			return err
		}},
	}
}

// charge calls payments.
func charge(ctx context.Context, conn *grpc.ClientConn, amount int64, token string) error {
	_, err := shopv1.NewPaymentsServiceClient(conn).Charge(metadata.AppendToOutgoingContext(ctx, "txn-token", token),
		&shopv1.ChargeRequest{OrderId: "ord-1", AmountCents: amount})
	return err
}

// withToken returns the rest of an attack that calls orders as the gateway, with the
// token that some forger has made.
func (a *attacker) withToken(ctx context.Context) func(raw string, err error) error {
	return func(raw string, err error) error {
		if err != nil {
			return fmt.Errorf("forge: %w", err)
		}
		return a.createOrder(ctx, a.gateway, amountCents, "txn-token", raw)
	}
}
