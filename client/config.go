package client

import (
	"errors"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Config names the token service and the workload. Every field is required: a
// field left out is an error of New, never a check left out.
type Config struct {
	// Target is the gRPC target of the token service, such as
	// "dns:///tts.prod.svc:8443"; a URL is none. It says where, ServerID says who:
	// whatever answers there must prove ServerID.
	Target string

	// Issuer is the "iss" of the tokens: the https URL of the token service,
	// without query and fragment. It is never fetched, and compared exactly: a slash at
	// its end, or none, must be as the token service has it. It is also the audience of
	// self-signed subject tokens.
	Issuer string

	// ServerID is the exact SPIFFE ID of the token service. It must be in
	// TrustDomain and have a path.
	ServerID spiffeid.ID

	// TrustDomain is the trust domain that tokens are requested and verified for:
	// their "aud".
	TrustDomain spiffeid.TrustDomain

	// SVIDs is where the workload's own X.509-SVID comes from. It is asked again
	// for each connection and each self-signed token, so rotation needs no restart.
	SVIDs x509svid.Source

	// Bundles is where the certificate authorities of TrustDomain come from.
	Bundles x509bundle.Source
}

// validate reports every problem of c at once, but for an Issuer that is malformed,
// which trat.NewVerifier reports.
func (c Config) validate() error {
	var problems []error
	missing := func(field string) {
		problems = append(problems, trat.Errorf(trat.ReasonParameterMissing, "Config."+field, "required"))
	}
	invalid := func(field, why string) {
		problems = append(problems, trat.Errorf(trat.ReasonParameterInvalid, "Config."+field, "%s", why))
	}

	switch {
	case c.Target == "":
		missing("Target")
	case isWebURL(c.Target):
		invalid("Target", `an http or https URL; a gRPC target looks like "dns:///host:port"`)
	}
	if c.Issuer == "" {
		missing("Issuer")
	}
	if c.TrustDomain.IsZero() {
		missing("TrustDomain")
	}
	switch {
	case c.ServerID.IsZero():
		missing("ServerID")
	case c.ServerID.Path() == "":
		invalid("ServerID", "names a trust domain, not a workload")
	case !c.TrustDomain.IsZero() && !c.ServerID.MemberOf(c.TrustDomain):
		invalid("ServerID", "not in Config.TrustDomain")
	}
	if c.SVIDs == nil {
		missing("SVIDs")
	}
	if c.Bundles == nil {
		missing("Bundles")
	}
	return errors.Join(problems...)
}

// isWebURL reports whether target is a URL of the web: gRPC would take its scheme for
// a host's name, and never reach it.
func isWebURL(target string) bool {
	scheme, _, found := strings.Cut(target, "://")
	return found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// verifierProblems returns the problems that trat.NewVerifier reports, by the names
// of the fields of c that its parameters come from. What validate has reported is left
// out.
func (c Config) verifierProblems(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var problems []error
	for _, problem := range joined.Unwrap() {
		var e *trat.Error
		switch {
		case !errors.As(problem, &e):
		case e.Field == "issuer" && c.Issuer == "", e.Field == "trustDomain" && c.TrustDomain.IsZero():
			continue
		case e.Field == "issuer":
			problem = &trat.Error{Reason: e.Reason, Field: "Config.Issuer", Err: e.Err}
		case e.Field == "trustDomain":
			problem = &trat.Error{Reason: e.Reason, Field: "Config.TrustDomain", Err: e.Err}
		}
		problems = append(problems, problem)
	}
	return problems
}
