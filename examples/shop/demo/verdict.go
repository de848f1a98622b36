package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// attackTimeout bounds one attack. The last one waits for a token to expire.
const attackTimeout = 15 * time.Second

// prepare collects what the attacker comes by: the user's access token, and a TraT
// that is given time to expire.
func (a *attacker) prepare(ctx context.Context) error {
	var err error
	a.user, err = newUser("alice", a.shop.addresses["issuer"], a.shop.addresses["gateway"], a.gateway)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.user.conn)
	tokens, err := a.client(a.gateway, a.shop.addresses["tts"])
	if err != nil {
		return err
	}
	if err := tokens.WaitReady(ctx); err != nil {
		return err
	}
	a.verifier = tokens.Verifier()
	if a.accessToken, err = a.user.accessToken(ctx, "orders:write orders:read"); err != nil {
		return err
	}
	details, err := orderDetails()
	if err != nil {
		return err
	}
	answer, err := a.exchange(ctx, a.gateway, a.accessToken, "order.quote", details)
	if err != nil {
		return err
	}
	a.brief = answer.GetAccessToken()
	// ExpiresIn is rounded down to whole seconds.
	a.briefEnds = time.Now().Add(time.Duration(answer.GetExpiresIn()+1)*time.Second + trat.DefaultLeeway)
	return nil
}

// attackAll tries every attack and prints a line for each.
func (a *attacker) attackAll(ctx context.Context, w io.Writer) error {
	details, err := orderDetails()
	if err != nil {
		return err
	}
	answer, err := a.exchange(ctx, a.gateway, a.accessToken, "order.create", details)
	if err != nil {
		return err
	}
	a.stolen = answer.GetAccessToken()
	const row = "  %-46s %-12s %s\n"
	fmt.Fprintf(w, "\nThe attacks\n"+row, "what is tried", "refused by", "outcome")
	var problems []error
	refused, controls := 0, 0
	all := attacks()
	for _, attack := range all {
		err := a.attempt(ctx, attack)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if got := outcome(err); got != attack.must.seen {
			fmt.Fprintf(w, row, attack.name, "?", got+", must be "+attack.must.seen)
			err = errors.Join(fmt.Errorf("%q ended with %s, not with %s", attack.name, got, attack.must.seen), err)
			problems = append(problems, err)
			continue
		}
		fmt.Fprintf(w, row, attack.name, orDash(attack.must.by), attack.must)
		if attack.must == acceptance {
			controls++
		} else {
			refused++
		}
	}
	problems = append(problems, a.shop.refusedAsSaid(ctx, all))
	if err := errors.Join(problems...); err != nil {
		return errors.Join(err, a.shop.failed(err))
	}
	fmt.Fprintf(w, "\n  %d attacks refused as expected, %d controls accepted\n", refused, controls)
	fmt.Fprint(w, "  where a service refused, its own spans say so; users outside are told a (code) only\n")
	return nil
}

func (a *attacker) attempt(ctx context.Context, attack attack) error {
	ctx, cancel := context.WithTimeout(ctx, attackTimeout)
	defer cancel()
	return attack.try(ctx, a)
}

// noTokenLeaked searches what the processes wrote and what they exported for
// complete tokens.
func (s *shop) noTokenLeaked(w io.Writer) error {
	var problems []error
	for _, p := range s.processes {
		if n := p.out.tokensLogged(); n > 0 {
			problems = append(problems, fmt.Errorf("%s logged %d lines with a complete token", p.name, n))
		}
	}
	attrs, leaks := s.spans.tokensSeen()
	if leaks > 0 {
		problems = append(problems, fmt.Errorf("%d span attributes hold a complete token", leaks))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	fmt.Fprintf(w, "  no complete token in %d logs and %d span attributes\n", len(s.processes), attrs)
	return nil
}
