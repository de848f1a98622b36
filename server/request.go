package server

import (
	"errors"
	"net/url"

	"buf.build/go/protovalidate"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Names of ExchangeRequest's fields, which are those of the RFC 8693 parameters.
const (
	fieldGrantType          = "grant_type"
	fieldAudience           = "audience"
	fieldScope              = "scope"
	fieldRequestedTokenType = "requested_token_type"
	fieldSubjectToken       = "subject_token"
	fieldSubjectTokenType   = "subject_token_type"
	fieldRequestContext     = "request_context"
	fieldRequestDetails     = "request_details"
	fieldRequestID          = "request_id"
	fieldCallChain          = "call_chain"
)

// request is an ExchangeRequest whose parameters hold what they must by themselves:
// sizes, constants, syntax. Nothing is decided about them yet.
type request struct {
	scope            trat.Scope
	subjectToken     string
	subjectTokenType string
	context          trat.Object
	details          trat.Object
	id               string
	callChain        string
}

// parse checks every parameter and reports all that are wrong, the missing ones
// first (draft section 11.1). After an error the request holds at most the id, and
// that only if it is valid.
func (s *Server) parse(req *tratv1.ExchangeRequest) (request, error) {
	violations, err := s.violations(req)
	if err != nil {
		return request{}, err
	}
	r := request{
		subjectToken:     req.GetSubjectToken(),
		subjectTokenType: req.GetSubjectTokenType(),
		callChain:        req.GetCallChain(),
	}
	check := func(field string, judge func() error) {
		if violations[field] != nil {
			return
		}
		if err := judge(); err != nil {
			violations[field] = err
		}
	}
	check(fieldGrantType, func() error {
		return unless(req.GetGrantType() == trat.GrantType, trat.ReasonGrantTypeUnsupported, fieldGrantType)
	})
	check(fieldAudience, func() error {
		return unless(req.GetAudience() == s.trustDomain.Name(), trat.ReasonAudienceNotServed, fieldAudience)
	})
	check(fieldScope, func() (err error) {
		r.scope, err = trat.ParseScope(req.GetScope())
		return err
	})
	check(fieldRequestedTokenType, func() error {
		return unless(req.GetRequestedTokenType() == trat.TokenType, trat.ReasonParameterInvalid, fieldRequestedTokenType)
	})
	check(fieldSubjectTokenType, func() error {
		return unless(isAbsoluteURI(r.subjectTokenType), trat.ReasonSubjectTokenTypeUnsupported, fieldSubjectTokenType)
	})
	check(fieldRequestContext, func() (err error) {
		r.context, err = parseOptional(fieldRequestContext, req.GetRequestContext())
		return err
	})
	check(fieldRequestDetails, func() (err error) {
		r.details, err = parseOptional(fieldRequestDetails, req.GetRequestDetails())
		return err
	})
	check(fieldRequestID, func() error {
		if holdsCredential(req.GetRequestId(), credentialParts(r.subjectToken)) { // which would be in every log
			return trat.Errorf(trat.ReasonParameterInvalid, fieldRequestID, "it holds a credential")
		}
		r.id = req.GetRequestId()
		return nil
	})
	check(fieldCallChain, func() error {
		return unless(r.callChain == "" || r.subjectTokenType == trat.TokenType, trat.ReasonParameterInvalid, fieldCallChain)
	})
	if err := violations.join(); err != nil {
		return request{id: r.id}, err
	}
	return r, nil
}

// violations are what is wrong, by field name.
type violations map[string]error

// join reports the missing parameters before the bad ones, each in the order of the
// message's fields: the first decides the reason of the whole.
func (v violations) join() error {
	if len(v) == 0 {
		return nil
	}
	var missing, bad []error
	fields := (*tratv1.ExchangeRequest)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		err := v[string(fields.Get(i).Name())]
		switch {
		case err == nil:
		case errors.Is(err, trat.ReasonParameterMissing):
			missing = append(missing, err)
		default:
			bad = append(bad, err)
		}
	}
	return errors.Join(append(missing, bad...)...)
}

// violations asks protovalidate. Its own messages quote no values, but are not used
// beyond the rule's name all the same.
func (s *Server) violations(req *tratv1.ExchangeRequest) (violations, error) {
	found := make(violations)
	err := s.validator.Validate(req)
	if err == nil {
		return found, nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return nil, trat.Errorf(trat.ReasonInternal, "", "validate the request: %w", err)
	}
	for _, v := range invalid.Violations {
		field := string(v.FieldDescriptor.Name())
		rule := v.Proto.GetRuleId()
		reason := trat.ReasonParameterInvalid
		if rule == "required" {
			reason = trat.ReasonParameterMissing
		}
		if found[field] == nil {
			found[field] = trat.Errorf(reason, field, "constraint %s", rule)
		}
	}
	return found, nil
}

func unless(ok bool, reason trat.Reason, field string) error {
	if ok {
		return nil
	}
	return trat.Errorf(reason, field, "")
}

func parseOptional(field, text string) (trat.Object, error) {
	if text == "" {
		return trat.Object{}, nil
	}
	o, err := trat.ParseObject(text)
	if err != nil {
		return trat.Object{}, trat.Errorf(trat.ReasonParameterInvalid, field, "%w", err)
	}
	return o, nil
}

// isAbsoluteURI reports whether s is one by RFC 3986 section 4.3, which token types
// are (RFC 8693 section 3).
func isAbsoluteURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && u.Fragment == "" && (u.Opaque != "" || u.Host != "" || u.Path != "")
}
