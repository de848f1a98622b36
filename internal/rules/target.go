package rules

import (
	"cmp"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Target is the method that a rule is for.
type Target struct {
	// FullMethod is "/pkg.Service/Method".
	FullMethod string
	// TrustDomain is that of the called service: callers that are paths are in it.
	TrustDomain spiffeid.TrustDomain
	// Input is the request's message type; nil when it is not known, which a rule about
	// requests does not survive.
	Input protoreflect.MessageDescriptor
	// ClientStreams and ServerStreams say what kind of method it is.
	ClientStreams, ServerStreams bool
	// CallersByCode says that the program itself restricts the direct callers, so that the
	// rule does not have to where it must be done.
	CallersByCode bool
}

// TargetOf returns the target that a method is, without a trust domain.
func TargetOf(method protoreflect.MethodDescriptor) Target {
	return Target{
		FullMethod:    "/" + string(method.Parent().FullName()) + "/" + string(method.Name()),
		Input:         method.Input(),
		ClientStreams: method.IsStreamingClient(),
		ServerStreams: method.IsStreamingServer(),
	}
}

// Streams reports whether the method streams in either direction.
func (t Target) Streams() bool { return t.ClientStreams || t.ServerStreams }

// Service is the full name of the service.
func (t Target) Service() string {
	service, _, _ := strings.Cut(strings.TrimPrefix(t.FullMethod, "/"), "/")
	return service
}

// DefaultExpiry is the default for streams of the method, zero if it does not stream. A
// method of which only the server streams answers one request, which its TraT was for; but
// one that is named Watch, or Watch and more, does so for as long as it is let.
func (t Target) DefaultExpiry() Expiry {
	_, name, _ := strings.Cut(strings.TrimPrefix(t.FullMethod, "/"), "/")
	switch {
	case !t.Streams():
		return 0
	case t.ClientStreams || strings.HasPrefix(name, "Watch"):
		return ExpiryCloseAtExp
	default:
		return ExpiryOpenOnly
	}
}

// Effective returns rule with the default in every place where it says nothing. An
// exemption stays as it is.
func Effective(rule Rule, target Target) Rule {
	if rule.Exempt != "" {
		return rule
	}
	rule.Chain.Mode = cmp.Or(rule.Chain.Mode, ChainPath)
	rule.Replay = cmp.Or(rule.Replay, ReplayJTI)
	rule.Enforcement = cmp.Or(rule.Enforcement, Strict)
	rule.Stream.Expiry = cmp.Or(rule.Stream.Expiry, target.DefaultExpiry())
	if rule.Chain.Mode == ChainPath {
		rule.Chain.MaxLinks = cmp.Or(rule.Chain.MaxLinks, callchain.MaxLinks)
	}
	return rule
}

// Fitted returns what a rule for a whole service says about one method of it: the part
// about streams is for methods that stream.
func Fitted(rule Rule, target Target) Rule {
	if !target.Streams() {
		rule.Stream = Stream{}
	}
	return rule
}
