package subject

import (
	"context"

	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Verifier = (*UnsignedJSON)(nil)

// UnsignedJSON takes a JSON object with the member sub at its word (draft section
// 11.2.2): the requester may speak for anyone within its own namespace. So it is
// to be registered only if the policy grants it to requesters one by one.
//
// exp is not required. If it is there, it is checked, without any skew: the
// requester and the token service are one trust domain. The scope of a principal
// is never known.
type UnsignedJSON struct{}

// NewUnsignedJSON returns a verifier of unsigned subjects.
func NewUnsignedJSON() *UnsignedJSON { return &UnsignedJSON{} }

// Type returns trat.TokenTypeUnsignedJSON.
func (v *UnsignedJSON) Type() string { return trat.TokenTypeUnsignedJSON }

// Verify implements Verifier. It does no I/O.
func (v *UnsignedJSON) Verify(_ context.Context, in Input) (*Principal, error) {
	claims, err := trat.ParseObject(in.Token)
	if err != nil {
		return nil, invalid("subject_token", "is not an acceptable JSON object")
	}
	r := claimReader{claims: claims}
	sub := r.text("sub", maxSub)
	p := &Principal{Issuer: in.Requester.String(), Claims: claims}
	if r.has("exp") {
		p.Expiry = r.date("exp")
	}
	if r.err != nil {
		return nil, r.err
	}
	if !p.Expiry.IsZero() {
		if err := notExpired(p.Expiry, in.Now, 0); err != nil {
			return nil, err
		}
	}
	if p.Subject, err = qualify(workloadNamespace(namespaceUnsigned, in.Requester), sub); err != nil {
		return nil, err
	}
	return p, nil
}
