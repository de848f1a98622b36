package callchain_test

import (
	"context"
	"log"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// In a handler behind a guard: through whom the request came, the first caller first. Only
// what was verified is there. In path mode that are all links since the TraT was issued, in
// head mode it is the caller's own.
func ExampleFromContext() {
	handle := func(ctx context.Context) {
		chain, ok := callchain.FromContext(ctx)
		if !ok {
			log.Println("the method demands no chain")
			return
		}
		for link := range chain.Links() {
			log.Println(link.Issuer(), "called", link.Method(), "of", link.Audience())
		}
	}
	handle(context.Background())
}
