package main

import (
	"context"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

// exchangeAttacks are made on the token service, and on what workloads believe about
// it.
func exchangeAttacks() []attack {
	return []attack{
		{"exchange by a workload that may not", refusal("tratd", trat.ReasonIssuanceDenied), func(ctx context.Context, a *attacker) error {
			details, err := orderDetails()
			if err != nil {
				return err
			}
			_, err = a.exchange(ctx, a.mallory, a.accessToken, "order.create", details)
			return err
		}},
		{"scope above the access token's", refusal("tratd", trat.ReasonScopeExceeded), func(ctx context.Context, a *attacker) error {
			readOnly, err := a.user.accessToken(ctx, "orders:read")
			if err != nil {
				return err
			}
			details, err := orderDetails()
			if err != nil {
				return err
			}
			_, err = a.exchange(ctx, a.gateway, readOnly, "order.create", details)
			return err
		}},
		{"a TraT as subject token, to get a longer one", refusal("tratd", trat.ReasonSubjectTokenInvalid), func(ctx context.Context, a *attacker) error {
			details, err := orderDetails()
			if err != nil {
				return err
			}
			_, err = a.exchange(ctx, a.gateway, a.stolen, "order.create", details)
			return err
		}},
		{"a self-signed subject token, used twice", refusal("tratd", trat.ReasonSubjectTokenReplayed), func(ctx context.Context, a *attacker) error {
			tokens, err := a.client(a.scheduler, a.shop.addresses["tts"])
			if err != nil {
				return err
			}
			subject, err := tokens.SignSubject(client.Subject{Name: "nightly-count"})
			if err != nil {
				return err
			}
			request := client.Request{SubjectToken: subject, SubjectTokenType: client.SelfSigned, Scope: "stock.count"}
			if _, err := tokens.Exchange(ctx, request); err != nil {
				return err
			}
			_, err = tokens.Exchange(ctx, request)
			return err
		}},
	}
}
