package subject_test

import (
	"context"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

func ExampleNewRegistry() {
	seen, err := replay.NewMemory(100_000, time.Now)
	if err != nil {
		fmt.Println(err)
		return
	}
	selfSigned, err := subject.NewSelfSigned("https://tts.shop.test", seen)
	if err != nil {
		fmt.Println(err)
		return
	}
	registry, err := subject.NewRegistry(selfSigned, subject.NewUnsignedJSON())
	if err != nil {
		fmt.Println(err)
		return
	}

	in := subject.Input{
		Token:     `{"sub":"alice"}`,
		Type:      trat.TokenTypeUnsignedJSON,
		Requester: spiffeid.RequireFromString("spiffe://shop.test/old-front"),
		Now:       time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC),
	}
	principal, err := registry.Verify(context.Background(), in)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(principal.Subject)

	in.Type = trat.TokenTypeAccessToken // is not turned on
	_, err = registry.Verify(context.Background(), in)
	reason, _ := trat.ReasonOf(err)
	fmt.Println(reason)
	// Output:
	// unsigned:shop.test/old-front:alice
	// SUBJECT_TOKEN_TYPE_UNSUPPORTED
}

func ExampleNewIssuers() {
	issuers, err := subject.NewIssuers(subject.IssuersConfig{
		Issuers: []subject.IssuerConfig{{
			Issuer:   "https://login.shop.test",
			Prefix:   "shop",
			Audience: "https://api.shop.test",
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	accessTokens, err := subject.NewAccessToken(issuers)
	if err != nil {
		fmt.Println(err)
		return
	}
	issuers.Start() // after everything that can fail
	defer issuers.Close()
	fmt.Println(accessTokens.Type())
}
