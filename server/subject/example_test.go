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

// badge is a subject token type of one's own: what a badge reader says of who stands
// before it.
type badge struct{}

func (badge) Type() string { return "urn:shop.test:badge" }

func (badge) Verify(_ context.Context, in subject.Input) (*subject.Principal, error) {
	if in.Token != "badge 7" { // in earnest: a signature, an audience, an expiry
		return nil, trat.Errorf(trat.ReasonSubjectTokenInvalid, "subject_token", "no such badge")
	}
	return &subject.Principal{Issuer: "https://badges.shop.test", Subject: "badge:7"}, nil
}

func ExampleFor() {
	door := spiffeid.RequireFromString("spiffe://shop.test/door")
	registry, err := subject.NewRegistry(subject.For(badge{}, spiffeid.MatchID(door)))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(registry.Supports(door, "urn:shop.test:badge"))
	fmt.Println(registry.Supports(spiffeid.RequireFromString("spiffe://shop.test/gateway"), "urn:shop.test:badge"))
	// Output:
	// <nil>
	// SUBJECT_TOKEN_TYPE_UNSUPPORTED: subject_token_type: no verifier of this type for the requester
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
