package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// attackTimeout bounds one attack, without what it waits for a key to expire. One waits
// for a token to.
const attackTimeout = 15 * time.Second

// prepare collects what the attacker comes by first: the user's access token.
func (a *attacker) prepare(ctx context.Context) error {
	if err := a.visit(); err != nil {
		return err
	}
	tokens, err := a.client(a.gateway, a.shop.addresses["tts"])
	if err != nil {
		return err
	}
	if err := tokens.WaitReady(ctx); err != nil {
		return err
	}
	a.verifier = tokens.Verifier()
	a.accessToken, err = a.user.accessToken(ctx, "orders:write orders:read")
	return err
}

// steal collects the tokens of the attacks: a good one, and one that is given time to
// expire.
func (a *attacker) steal(ctx context.Context) (err error) {
	if a.stolen, err = a.newToken(ctx); err != nil {
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

// visit lets alice connect to the gateway, wherever it is now.
func (a *attacker) visit() (err error) {
	a.user, err = newUser("alice", a.shop.addresses["issuer"], a.shop.addresses["gateway"], a.gateway)
	if err == nil {
		a.closers = append(a.closers, a.user.conn)
	}
	return err
}

// attackAll tries every attack and prints a line for each.
func (a *attacker) attackAll(ctx context.Context, w io.Writer) error {
	if err := a.steal(ctx); err != nil {
		return err
	}
	const row = "  %-46s %-12s %s\n"
	fmt.Fprintf(w, "\nThe attacks\n"+row, "what is tried", "refused by", "outcome")
	var problems []error
	refused, controls, traces := 0, 0, 0
	all := attacks()
	if time.Until(a.keptUntil()) < attackTimeout+a.shop.outlive {
		all = append(all, expiredKey)
	}
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
		switch attack.must {
		case acceptance:
			controls++
		case noticed:
			traces++
		default:
			refused++
		}
	}
	problems = append(problems, a.shop.refusedAsSaid(ctx, all), a.shop.noticedTraces(ctx, traces))
	if err := errors.Join(problems...); err != nil {
		return errors.Join(err, a.shop.failed(err))
	}
	fmt.Fprintf(w, "\n  %d attacks refused as expected, %d noticed, %d controls accepted\n", refused, traces, controls)
	fmt.Fprint(w, "  where a service refused, its own spans say so; users outside are told a (code) only\n")
	return nil
}

func (a *attacker) attempt(ctx context.Context, attack attack) error {
	ctx, cancel := context.WithTimeout(ctx, attackTimeout+attack.waits(a))
	defer cancel()
	return attack.try(ctx, a)
}

// noTokenLeaked searches what the processes wrote and what they exported for complete
// tokens and call chains.
func (s *shop) noTokenLeaked(w io.Writer) error {
	var problems []error
	all := slices.Concat(s.past, s.processes)
	for _, p := range all {
		if n := p.out.secretsLogged(); n > 0 {
			problems = append(problems, fmt.Errorf("%s logged %d lines with a complete token or call chain", p.name, n))
		}
	}
	attrs, leaks := s.spans.secretsSeen()
	if leaks > 0 {
		problems = append(problems, fmt.Errorf("%d span attributes hold a complete token or call chain", leaks))
	}
	files := []string{s.report}
	for _, name := range recordFiles() {
		files = append(files, filepath.Join(s.records, name))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && secretPattern.Match(text) {
			err = fmt.Errorf("a complete token or call chain is in %s", file)
		}
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nNo complete token or call chain in %d logs, %d span attributes, %d records and the page\n",
		len(all), attrs, len(files)-1)
	return nil
}
