package subject

import (
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// What is wrong with a configuration must never lead to more workloads than it names.
func TestARouteOfAMistakeServesNobody(t *testing.T) {
	gateway := spiffeid.RequireFromString("spiffe://shop.test/gateway")
	for name, c := range map[string]IntrospectionConfig{
		"nobody named":              {},
		"a pattern that is none":    {Requesters: []string{"gateway"}},
		"one that is none, and one": {Requesters: []string{"spiffe://shop.test/gate*", gateway.String()}},
		"some and all":              {Requesters: []string{"spiffe://shop.test/web"}, AllRequesters: true},
		"all of nothing":            {NoOpaque: true, AllRequesters: true},
		"some of nothing":           {NoOpaque: true, Requesters: []string{gateway.String()}},
	} {
		t.Run(name, func(t *testing.T) {
			problems := 0
			r := IssuerConfig{Introspection: &c}.route(func(string, error) { problems++ })
			if problems == 0 || r.serves(gateway) {
				t.Errorf("%d problems, serves the gateway: %t", problems, r.serves(gateway))
			}
		})
	}
	var zero route
	if zero.serves(gateway) {
		t.Error("the zero route serves somebody")
	}
}
