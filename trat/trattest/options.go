package trattest

import (
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// TokenOption changes one claim of a token. Of the same option given twice the
// later one holds. A value that no token may have fails the test when the token
// is made.
type TokenOption func(*spec) error

// spec is the token to make. Times are relative, so that an option does not need
// the Domain's clock.
type spec struct {
	claims   trat.Claims
	age      time.Duration
	lifetime time.Duration
}

// Subject sets sub; the default is "user-1".
func Subject(sub string) TokenOption {
	return func(s *spec) error {
		s.claims.Subject = sub
		return nil
	}
}

// Scope sets scope, space-separated; the default is "test".
func Scope(scope string) TokenOption {
	return func(s *spec) (err error) {
		s.claims.Scope, err = trat.ParseScope(scope)
		return err
	}
}

// TransactionID sets txn; the default is a new random one for each token.
func TransactionID(txn string) TokenOption {
	return func(s *spec) error {
		s.claims.TransactionID = txn
		return nil
	}
}

// Requester sets req_wl, the SPIFFE ID of the workload that asked for the token;
// the default is the workload "gateway" of the Domain.
func Requester(id string) TokenOption {
	return func(s *spec) error {
		s.claims.RequestingWorkload = id
		return nil
	}
}

// Details sets tctx from JSON text, such as `{"quantity":3}`; the default is none.
func Details(json string) TokenOption {
	return func(s *spec) (err error) {
		s.claims.TransactionContext, err = trat.ParseObject(json)
		return err
	}
}

// Context sets rctx from JSON text, such as `{"ip":"192.0.2.7"}`; the default is
// none.
func Context(json string) TokenOption {
	return func(s *spec) (err error) {
		s.claims.RequestContext, err = trat.ParseObject(json)
		return err
	}
}

// Lifetime sets exp, counted from iat in whole seconds; the default is
// trat.DefaultLifetime.
func Lifetime(d time.Duration) TokenOption {
	return func(s *spec) error {
		s.lifetime = d
		return nil
	}
}

// Age sets iat to so long before the Domain's present; the default is now. Exp moves
// with it.
func Age(d time.Duration) TokenOption {
	return func(s *spec) error {
		s.age = d
		return nil
	}
}
