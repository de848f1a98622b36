package trat

import "context"

type contextKey struct{}

// NewContext returns a context that carries t. Guards call it after verification;
// the one who starts a transaction calls it with the token it was issued.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// FromContext returns the verified TraT of this request. It reports false when
// there is none: a Token that did not come from verification does not count.
func FromContext(ctx context.Context) (*Token, bool) {
	t, _ := ctx.Value(contextKey{}).(*Token)
	if !t.verified() {
		return nil, false
	}
	return t, true
}

// Detach returns a context for work that outlives the request: it keeps the
// values, the token among them, and drops the parent's cancellation and deadline.
// The token still ends such work: calls made after its exp fail.
func Detach(ctx context.Context) context.Context {
	return context.WithoutCancel(ctx)
}
