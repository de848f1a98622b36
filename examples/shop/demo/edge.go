package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// bringToken places an order as a user who sends a forged TraT along. It is an error
// if the forged token shows up at any service, or if the order's transaction is not a
// new one with a token of its own.
func (a *attacker) bringToken(ctx context.Context) error {
	forged, err := resigned(a.stolen)
	if err != nil {
		return fmt.Errorf("forge: %w", err)
	}
	began := time.Now()
	if _, err := a.user.placeOrder(ctx, a.accessToken, "txn-token", forged); err != nil {
		return err
	}
	all, err := a.shop.spansOfOrder(ctx, began)
	if err != nil {
		return err
	}
	return startedAnew(all, began, tokenHash(forged), tokenHash(a.stolen))
}

// startedAnew checks the order that was placed after began: every call of it has one
// token, the token service's answer among them, which is neither the stolen one nor
// the forged one. No span at all may have the forged one.
func startedAnew(all []span, began time.Time, forged, stolen string) error {
	root, found := findRoot(since(all, began), rootCall)
	if !found {
		return errors.New("no span of the order")
	}
	order := newTree(all, root)
	err := order.check()
	if order.token == stolen {
		err = errors.Join(err, errors.New("the order went on with the token that the forged one was made from"))
	}
	for _, s := range all {
		if s.attrs["txn_token.hash"] == forged {
			err = errors.Join(err, fmt.Errorf("the forged token reached %s", s.service))
		}
	}
	return err
}

// since returns the spans that began at t or later.
func since(spans []span, t time.Time) []span {
	return slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return s.start.Before(t) })
}

// tokenHash is what spans name a token by: the first 16 hexadecimal digits of its
// SHA-256.
func tokenHash(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(sum[:])[:16]
}
