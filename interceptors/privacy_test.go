package interceptors_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Everything that guard and carrier write, at debug level, for good calls and for
// every way to be refused, is searched for tokens, for what is in them, and for chains.
//
// Covers PRIV-01, PRIV-07.
func TestNoSinkGetsATokenOrItsContents(t *testing.T) {
	const secret = "s3cret-value"
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, interceptors.Rules{
		wholeService:  interceptors.Require("test"),
		bidiStreaming: interceptors.Require("test").CheckMessage(deny),
	}, interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters), interceptors.WithFailureLimit(1e6, 1e6))
	addr := serveGuarded(t, d, g, &backend{}, s.serverOption())
	client := dialRaw(t, d, addr, s.dialOption())
	c := carrier(t, d, interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters))
	carried := dialCarrier(t, d, addr, c, s.dialOption())
	contents := []trattest.TokenOption{
		trattest.Subject(secret + "-sub"), trattest.Details(`{"account":"` + secret + `-tctx"}`),
		trattest.Context(`{"ip":"` + secret + `-rctx"}`),
	}
	var errs strings.Builder
	note := func(err error) {
		if err != nil {
			fmt.Fprintf(&errs, "%v %+v\n", err, err)
		}
	}
	sent := []string{d.Raw(contents...), d.Raw(append(contents, trattest.Scope("other"))...)}
	for _, b := range d.BrokenTokens(contents...) {
		sent = append(sent, b.Raw)
	}
	calls := 0
	var sentChains []string
	for _, k := range kinds() {
		for _, raw := range sent {
			note(k.call(withToken(callContext(t), raw), client))
			note(k.call(withToken(callContext(t), raw, raw), client))
			note(k.call(withToken(d.Context(callContext(t), contents...), raw), carried))
			calls += 2
		}
		note(k.call(d.Context(callContext(t), contents...), carried))
		calls++
		token := d.Token(contents...)
		chains := []string{
			d.RawChain(token, []string{"gateway"}, "orders", k.method), d.RawChain(token, []string{"gateway"}, "stocks", k.method),
			d.RawChain(token, []string{"gateway", "bff", "orders", "gateway"}, "orders", k.method),
		}
		chains = append(chains, chains[0][1:], chains[0]+"A", theft{t, d, token, k.method}.ownRoot("mallory"))
		for _, chain := range slices.Concat(chains, chains) { // each for the second time, too
			note(k.call(withChain(callContext(t), token, chain), client))
			note(k.call(withChain(callContext(t), token, chain, chain), client))
			calls += 2
		}
		sentChains = append(sentChains, chains...)
	}
	s.last(t, calls, trace.SpanKindServer)

	var dump strings.Builder
	dump.WriteString(s.log.String())
	dump.WriteString(errs.String())
	for _, span := range s.spans.Ended() {
		fmt.Fprintln(&dump, span.Name(), span.Attributes(), span.Events(), span.Status(), span.Links())
	}
	fmt.Fprintf(&dump, "%+v\n", s.collect(t))
	if dump.Len() < 10_000 {
		t.Fatalf("only %d bytes to search: the test looks at nothing", dump.Len())
	}
	for _, needle := range slices.Concat([]string{"eyJ0eXAi", "eyJhbGci", secret, "Bearer"}, segments(sent), pieces(sentChains)) {
		if i := strings.Index(dump.String(), needle); i >= 0 {
			t.Errorf("found %.12q… near %.200q", needle, dump.String()[max(0, i-100):])
		}
	}
}

// A handler, or an interceptor inside the guard, that prints its stream or its context
// for debugging must not print the token with it.
//
// Covers VER-23, PRIV-01.
func TestStreamsAndContextsPrintNoToken(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, interceptors.Rules{
		wholeService:  interceptors.Require(),
		unaryMethod:   interceptors.Require().Check(allow),
		bidiStreaming: interceptors.Require().CheckMessage(allow),
	})
	var printed strings.Builder
	note := func(v any) { fmt.Fprintf(&printed, "%v %+v %#v\n", v, v, v) }
	client := dialRaw(t, d, serveGuarded(t, d, g, &backend{},
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			note(ctx)
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			note(stream)
			note(stream.Context())
			return next(srv, stream)
		})))
	for _, k := range kinds() {
		if err := k.call(withToken(callContext(t), d.Raw()), client); err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
	}
	if text := printed.String(); !strings.Contains(text, "liveStream") || strings.Contains(text, "eyJ") {
		t.Errorf("printed: %s", text)
	}
}

// pieces returns parts of chains, from anywhere in them.
func pieces(chains []string) []string {
	var parts []string
	for _, chain := range chains {
		for piece := range slices.Chunk([]byte(chain), 20) {
			if len(piece) == 20 {
				parts = append(parts, string(piece))
			}
		}
	}
	return parts
}

// segments returns the parts of tokens that are long enough to be recognised.
func segments(tokens []string) []string {
	var parts []string
	for _, token := range tokens {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) >= 20 {
				parts = append(parts, part)
			}
		}
	}
	return parts
}
