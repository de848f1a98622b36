package subject

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// route sends the opaque tokens of some workloads to one issuer. The zero route serves
// nobody.
type route struct {
	all        bool
	requesters []spiffecreds.Pattern // without all
	to         *introspector
}

func (r route) serves(requester spiffeid.ID) bool {
	return r.all || slices.ContainsFunc(r.requesters, func(p spiffecreds.Pattern) bool { return p.Match(requester) })
}

// route returns whose opaque tokens are the issuer's. It calls bad for what is wrong with
// that; the route then serves nobody.
func (c IssuerConfig) route(bad func(field string, err error)) route {
	i, field := c.Introspection, "Introspection.Requesters"
	if i == nil {
		return route{}
	}
	wrong := false
	add := func(field string, err error) {
		wrong = true
		bad(field, err)
	}
	r := route{all: i.AllRequesters}
	for _, text := range i.Requesters {
		p, err := spiffecreds.ParsePattern(text)
		if err != nil {
			if cause := errors.Unwrap(err); cause != nil { // without the name of another package
				err = cause
			}
			add(field, fmt.Errorf("%q is not a SPIFFE ID with segments * in its path: %w", text, err))
			continue
		}
		r.requesters = append(r.requesters, p)
	}
	switch some := len(i.Requesters) > 0; {
	case some && i.NoOpaque:
		add(field, errors.New("are those of opaque tokens, which are refused"))
	case i.AllRequesters && i.NoOpaque:
		add("Introspection.AllRequesters", errors.New("is about opaque tokens, which are refused"))
	case some && i.AllRequesters:
		add(field, errors.New("are there, where all workloads are meant"))
	case !some && !i.AllRequesters && !i.NoOpaque:
		add(field, errors.New("are required, unless all workloads are meant"))
	}
	if wrong {
		return route{}
	}
	return r
}

// checkRoutes calls bad for each issuer with opaque tokens that could be those of
// another one before it. routes are those of the issuers.
func checkRoutes(issuers []IssuerConfig, routes []route, bad func(index int, field string, err error)) {
	var opaque []int
	for i, issuer := range issuers {
		if issuer.opaque() {
			opaque = append(opaque, i)
		}
	}
	if len(opaque) < 2 {
		return
	}
	for n, i := range opaque {
		if routes[i].all {
			bad(i, "Introspection.Requesters", errors.New("are required where several issuers have opaque tokens"))
		}
		for _, j := range opaque[:n] {
			if a, b, ok := ambiguous(routes[i], routes[j]); ok {
				bad(i, "Introspection.Requesters", fmt.Errorf("%q and %q of issuer %q can be the same workload", a, b, issuers[j].Issuer))
			}
		}
	}
}

// ambiguous returns a pattern of each route that can mean the same workload.
func ambiguous(one, other route) (a, b spiffecreds.Pattern, ok bool) {
	for _, a := range one.requesters {
		for _, b := range other.requesters {
			if a.Overlaps(b) {
				return a, b, true
			}
		}
	}
	return a, b, false
}
