package subject

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// restricted is a Verifier for some requesters only.
type restricted struct {
	verifier   Verifier
	requesters spiffeid.Matcher
}

// For returns a verifier that is there for the requesters that the matcher accepts
// and for nobody else: to any other one the type is SUBJECT_TOKEN_TYPE_UNSUPPORTED, as
// if it had no verifier (draft section 11.2: types by agreement). Both arguments are
// required; NewRegistry reports what is nil.
//
// It is for types that only some workloads can come by. Who may present what is up to
// the policy, which is asked besides.
func For(v Verifier, requesters spiffeid.Matcher) Verifier {
	return &restricted{verifier: v, requesters: requesters}
}

// isNil says whether there is no verifier, be it under For.
func isNil(v Verifier) bool {
	if some, ok := v.(*restricted); ok {
		return isNil(some.verifier)
	}
	return v == nil
}

// Type returns that of the verifier within.
func (r *restricted) Type() string { return r.verifier.Type() }

// Verify implements Verifier.
func (r *restricted) Verify(ctx context.Context, in Input) (*Principal, error) {
	if err := r.admits(in.Requester); err != nil {
		return nil, err
	}
	return r.verifier.Verify(ctx, in)
}

// admits returns SUBJECT_TOKEN_TYPE_UNSUPPORTED for a requester that the verifier is
// not there for.
func (r *restricted) admits(requester spiffeid.ID) error {
	if r.requesters == nil || r.requesters(requester) != nil {
		return unsupported("no verifier of this type for the requester")
	}
	return nil
}
