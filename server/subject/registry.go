package subject

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Registry holds the verifiers of the subject token types that are turned on. It
// is immutable and safe for concurrent use.
type Registry struct {
	verifiers map[string]Verifier
}

// refused are the types that are never subject tokens here, and why.
var refused = map[string]string{
	trat.TokenTypeRefreshToken: "a refresh token is never a subject token",
	trat.TokenTypeSAML1:        "SAML assertions are not supported: present an access token or ID token of the same provider",
	trat.TokenTypeSAML2:        "SAML assertions are not supported: present an access token or ID token of the same provider",
}

// NewRegistry returns a registry of verifiers, each of another type. Without any,
// every subject token is refused. It reports all problems at once: a nil verifier or
// matcher, a type that is no absolute URI or is there twice, and the types that are
// never subject tokens here: refresh_token, saml1 and saml2.
func NewRegistry(verifiers ...Verifier) (*Registry, error) {
	r := &Registry{verifiers: make(map[string]Verifier, len(verifiers))}
	var problems []error
	for i, v := range verifiers {
		if isNil(v) {
			problems = append(problems, fmt.Errorf("subject: verifier %d is nil", i))
			continue
		}
		if err := r.add(v); err != nil {
			problems = append(problems, fmt.Errorf("subject: verifier of %q: %w", v.Type(), err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Registry) add(v Verifier) error {
	uri := v.Type()
	if u, err := url.Parse(uri); err != nil || !u.IsAbs() {
		return errors.New("the type is not an absolute URI")
	}
	if why, never := refused[uri]; never {
		return errors.New(why)
	}
	if _, dup := r.verifiers[uri]; dup {
		return errors.New("the type is registered twice")
	}
	if some, ok := v.(*restricted); ok && some.requesters == nil {
		return errors.New("the matcher of its requesters is nil")
	}
	r.verifiers[uri] = v
	return nil
}

// Supports returns nil if there is a verifier for the type that is there for the
// requester, otherwise SUBJECT_TOKEN_TYPE_UNSUPPORTED, so that the type can be judged
// before the policy is asked, and the policy before the token is looked at.
func (r *Registry) Supports(requester spiffeid.ID, subjectTokenType string) error {
	_, err := r.verifier(requester, subjectTokenType)
	return err
}

func (r *Registry) verifier(requester spiffeid.ID, subjectTokenType string) (Verifier, error) {
	if why, never := refused[subjectTokenType]; never {
		return nil, unsupported("%s", why)
	}
	v, ok := r.verifiers[subjectTokenType]
	if !ok {
		return nil, unsupported("no verifier for this type")
	}
	if some, ok := v.(*restricted); ok {
		if err := some.admits(requester); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func unsupported(format string, args ...any) error {
	return trat.Errorf(trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type", format, args...)
}

// Verify has in.Token verified by the verifier of in.Type. Beside the verifier's,
// its errors are
//
//   - SUBJECT_TOKEN_TYPE_UNSUPPORTED: the type has no verifier for the requester.
//   - SUBJECT_TOKEN_INVALID: the token is empty or longer than MaxTokenSize.
//   - INTERNAL: in lacks requester or time, or the verifier broke its contract.
func (r *Registry) Verify(ctx context.Context, in Input) (*Principal, error) {
	v, err := r.verifier(in.Requester, in.Type)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Requester.IsZero():
		return nil, trat.Errorf(trat.ReasonInternal, "", "subject: no requester")
	case in.Now.IsZero():
		return nil, trat.Errorf(trat.ReasonInternal, "", "subject: no time")
	case in.Token == "":
		return nil, invalid("subject_token", "empty")
	case len(in.Token) > MaxTokenSize:
		return nil, invalid("subject_token", "longer than %d bytes", MaxTokenSize)
	}
	p, err := v.Verify(ctx, in)
	switch {
	case err != nil:
		return nil, err
	case p == nil || p.Subject == "" || p.Issuer == "":
		return nil, trat.Errorf(trat.ReasonInternal, "", "subject: verifier of %q returned no principal", in.Type)
	case (p.Transaction != nil) != (in.Type == trat.TokenType):
		return nil, trat.Errorf(trat.ReasonInternal, "", "subject: verifier of %q takes a transaction for granted, or leaves it away", in.Type)
	}
	return p, nil
}
