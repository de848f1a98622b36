package interceptors_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// withChain returns a context that sends token and values as txn-chain.
func withChain(ctx context.Context, token *trat.Token, values ...string) context.Context {
	pairs := []string{"txn-token", token.UnsafeRaw()}
	for _, v := range values {
		pairs = append(pairs, "txn-chain", v)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// taken is a chain taken apart, of links without spans (docs/call-chain-format.md).
type taken struct {
	certificates []byte // with their number, and the form before them
	links        [][]byte
	last         []byte
}

func take(tb testing.TB, encoded string) taken {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		tb.Fatal(err)
	}
	at := 2
	for range raw[1] {
		at += 2 + int(binary.BigEndian.Uint16(raw[at:]))
	}
	t := taken{certificates: raw[:at]}
	n := raw[at]
	at++
	for range n {
		start := at
		at += 1 + 6 + 1 + 16 // flags, iat, lifetime, jti
		for range 2 {        // iss and rpc
			at += 2 + int(binary.BigEndian.Uint16(raw[at:]))
		}
		at++ // certificate
		at += 2 + int(raw[at]>>4)*24 + 64
		t.links = append(t.links, raw[start:at])
	}
	t.last = raw[at:]
	return t
}

func (t taken) String() string {
	raw := append(slices.Clone(t.certificates), byte(len(t.links)))
	raw = append(append(raw, slices.Concat(t.links...)...), t.last...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// theft is a call of stocks to imitate, with all that a thief can have of it.
type theft struct {
	testing.TB
	d      *trattest.Domain
	token  *trat.Token
	method string
}

// genuine is its chain: gateway, bff and orders have handed the request to payments, which
// calls stocks.
func (v theft) genuine() string { return v.through("stocks", v.method) }

func (v theft) through(callee, method string) string {
	return v.d.RawChain(v.token, []string{"gateway", "bff", "orders", "payments"}, callee, method)
}

// in is the same call in another transaction.
func (v theft) in(token *trat.Token) theft {
	v.token = token
	return v
}

// ownRoot is a chain that the workload with the given path begins.
func (v theft) ownRoot(path string) string {
	return v.sign(path, callchain.ModePath, nil)
}

// head is the last link of the genuine chain.
func (v theft) head() string {
	return v.sign("payments", callchain.ModeHead, v.d.Chain(v.token, []string{"gateway", "bff", "orders"}, "payments", v.method))
}

// receivedHead is what stocks makes of the last link.
func (v theft) receivedHead() *callchain.Chain {
	v.Helper()
	verifier, err := callchain.NewVerifier(v.d.Source("stocks"), callchain.WithClock(v.d.Now))
	if err != nil {
		v.Fatal(err)
	}
	payments := v.d.SVID("payments")
	chain, err := verifier.Verify(callchain.Received{
		Encoded: v.head(), Audience: v.d.ID("stocks"), Method: v.method, Token: v.token, Mode: callchain.ModeHead,
		Peer: callchain.Peer{ID: payments.ID, Leaf: payments.Certificates[0], Intermediates: payments.Certificates[1:]},
	})
	if err != nil {
		v.Fatal(err)
	}
	return chain
}

// sign signs as the workload with the given path, and encodes for a connection on which
// its present certificate was presented.
func (v theft) sign(path string, mode callchain.Mode, parent *callchain.Chain) string {
	v.Helper()
	draft := callchain.Draft{Audience: v.d.ID("stocks"), Method: v.method, Token: v.token, Parent: parent}
	signed, err := signerOf(v, v.d, path).SignLink(v.Context(), draft)
	if err != nil {
		v.Fatal(err)
	}
	encoded, err := signed.Encode(mode, v.d.SVID(path).Certificates[0])
	if err != nil {
		v.Fatal(err)
	}
	return encoded
}

// forgery is a call by a workload that may call, and which is refused all the same.
type forgery struct {
	name string
	as   string // "": payments
	// chain returns what is sent as txn-chain.
	chain  func(theft) []string
	reason trat.Reason
}

// tampered is a forgery that changes the genuine chain.
func tampered(name string, change func(*taken)) forgery {
	return forgery{name, "", func(v theft) []string {
		t := take(v, v.genuine())
		change(&t)
		return []string{t.String()}
	}, trat.ReasonChainLinkInvalid}
}

func forgeries() []forgery {
	invalid, one := trat.ReasonChainLinkInvalid, func(s string) []string { return []string{s} }
	return []forgery{
		{"no chain", "", func(theft) []string { return nil }, trat.ReasonChainMissing},
		{"an empty chain", "", func(theft) []string { return one("") }, trat.ReasonChainMissing},
		{"two chains", "", func(v theft) []string {
			return []string{v.genuine(), v.genuine()}
		}, invalid},
		{"garbage", "", func(theft) []string { return one("a,b") }, invalid},
		{"padded", "", func(v theft) []string { return one(v.genuine() + "=") }, invalid},
		{"more than there may be", "", func(theft) []string {
			return one(base64.RawURLEncoding.EncodeToString(make([]byte, callchain.MaxEncodedSize)))
		}, invalid},
		{"to another callee", "", func(v theft) []string {
			return one(v.through("audit", v.method))
		}, invalid},
		{"for another method", "", func(v theft) []string {
			return one(v.through("stocks", service+"Other"))
		}, invalid},
		{"of another transaction", "", func(v theft) []string {
			return one(v.in(v.d.Token()).genuine())
		}, invalid},
		{"headers stolen by a workload that may call", "mallory", func(v theft) []string {
			return one(v.genuine())
		}, trat.ReasonChainPeerMismatch},
		{"headers stolen by a workload on the way", "orders", func(v theft) []string {
			return one(v.genuine())
		}, trat.ReasonChainPeerMismatch},
		{"token stolen, a root of its own", "mallory", func(v theft) []string {
			return one(v.ownRoot("mallory"))
		}, trat.ReasonChainRootMismatch},
		{"token stolen, no chain", "mallory", func(theft) []string { return nil }, trat.ReasonChainMissing},
		{"a workload on the way, a root of its own", "orders", func(v theft) []string {
			return one(v.ownRoot("orders"))
		}, trat.ReasonChainRootMismatch},
		{"the last link alone", "", func(v theft) []string {
			return one(v.head())
		}, trat.ReasonChainMissing},
		tampered("a hop dropped", func(t *taken) { t.links = slices.Delete(t.links, 1, 2) }),
		tampered("the root dropped", func(t *taken) { t.links = t.links[1:] }),
		tampered("all but the last dropped", func(t *taken) { t.links = nil }),
		tampered("two hops in the other order", func(t *taken) { t.links[0], t.links[1] = t.links[1], t.links[0] }),
		tampered("a hop twice", func(t *taken) { t.links = slices.Insert(t.links, 1, t.links[1]) }),
		tampered("without its certificates", func(t *taken) { t.certificates = []byte{t.certificates[0], 0} }),
		tampered("cut off", func(t *taken) { t.last = t.last[:len(t.last)-1] }),
		tampered("with a byte more", func(t *taken) { t.last = append(slices.Clone(t.last), 0) }),
		tampered("jti of the last link altered", func(t *taken) { t.last[20] ^= 1 }),
		tampered("iat of an earlier link altered", func(t *taken) { t.links[1][6] ^= 1 }),
		tampered("signature of the last link altered", func(t *taken) { t.last[len(t.last)-1] ^= 1 }),
		tampered("signature of the root altered", func(t *taken) { t.links[0][len(t.links[0])-1] ^= 1 }),
		{"a hop of another transaction spliced in", "", func(v theft) []string {
			t, other := take(v, v.genuine()), take(v, v.in(v.d.Token()).genuine())
			t.links[1] = other.links[1]
			return one(t.String())
		}, invalid},
		{"the last link of another chain of the transaction", "", func(v theft) []string {
			t, other := take(v, v.genuine()), take(v, v.genuine())
			t.last = other.last
			return one(t.String())
		}, invalid},
	}
}

// Every workload of the domain may call stocks. What a thief of tokens and headers, or a
// workload on the way, can make of them is refused, by all kinds of calls alike.
//
// Covers B-T1, B-T2, B-T3, B-T4, B-T5, B-T8, B-T9, VER-24, ERR-13, ERR-18.
func TestForgedChainsAreRefused(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	g := guardOf(t, d, "stocks", anyScope(), interceptors.WithFailureLimit(1e6, 1e6))
	addr := serveAs(t, d, "stocks", g, svc)
	clients := make(map[string]testpb.TestServiceClient)
	for _, path := range []string{"payments", "orders", "mallory"} {
		clients[path] = dial(t, addr, d.ClientCredentials(path, d.Members()))
	}
	for _, tc := range forgeries() {
		if tc.as == "" {
			tc.as = "payments"
		}
		for _, k := range kinds() {
			t.Run(tc.name+"/"+k.name, func(t *testing.T) {
				token := d.Token()
				ctx := withChain(callContext(t), token, tc.chain(theft{t, d, token, k.method})...)
				wantRefusal(t, k.call(ctx, clients[tc.as]), tc.reason)
			})
		}
	}
	if n := svc.ran.Load(); n != 0 {
		t.Fatalf("%d handlers ran", n)
	}
	// What they imitate is accepted.
	for _, k := range kinds() {
		token := d.Token()
		if err := k.call(withChain(callContext(t), token, theft{t, d, token, k.method}.genuine()), clients["payments"]); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}

// A chain may have at most as many links as the format permits.
//
// Covers B-T8.
func TestATooLongChainIsRefusedByTheGuardToo(t *testing.T) {
	d := trattest.New(t, domainName)
	client := dial(t, serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{}), d.ClientCredentials("payments", d.Members()))
	for _, k := range kinds() {
		token := d.Token()
		long := take(t, theft{t, d, token, k.method}.genuine())
		for range callchain.MaxLinks {
			long.links = append(long.links, long.links[1])
		}
		wantRefusal(t, k.call(withChain(callContext(t), token, long.String()), client), trat.ReasonChainTooDeep)
	}
}

// A chain stays with its time: it is refused when its last link has expired, and when it
// says that it was signed before its token.
//
// Covers B-T1.
func TestChainsOfAnotherTimeAreRefused(t *testing.T) {
	d := trattest.New(t, domainName)
	client := dial(t, serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{}), d.ClientCredentials("payments", d.Members()))
	for _, k := range kinds() {
		token := d.Token(trattest.Lifetime(trat.MaxLifetime), trattest.Requester(d.ID("payments").String()))
		v := theft{t, d, token, k.method}
		late := v.ownRoot("payments")
		d.Advance(callchain.DefaultLifetime + trat.DefaultLeeway)
		wantRefusal(t, k.call(withChain(callContext(t), token, late), client), trat.ReasonChainLinkInvalid)

		d.Advance(-time.Minute)
		early := v.ownRoot("payments")
		d.Advance(time.Minute)
		wantRefusal(t, k.call(withChain(callContext(t), token, early), client), trat.ReasonChainLinkInvalid)
	}
}

// In head mode the caller's own link is all that counts, and it must be the caller's.
//
// Covers VER-24, ERR-13.
func TestHeadModeStillBindsTheCaller(t *testing.T) {
	d := trattest.New(t, domainName)
	rules := interceptors.Rules{wholeService: interceptors.Require().FromCallers(spiffeid.MatchOneOf(d.ID("payments"), d.ID("mallory"))).ChainHead()}
	addr := serveAs(t, d, "stocks", guardOf(t, d, "stocks", rules), &backend{})
	payments, mallory := dial(t, addr, d.ClientCredentials("payments", d.Members())), dial(t, addr, d.ClientCredentials("mallory", d.Members()))
	for _, k := range kinds() {
		token := d.Token()
		v := theft{t, d, token, k.method}
		call := func(client testpb.TestServiceClient, chain ...string) error {
			return k.call(withChain(callContext(t), token, chain...), client)
		}
		wantRefusal(t, call(payments), trat.ReasonChainMissing)
		wantRefusal(t, call(mallory, v.head()), trat.ReasonChainPeerMismatch)
		wantRefusal(t, call(payments, theft{t, d, token, service + "Other"}.head()), trat.ReasonChainLinkInvalid)
		wantRefusal(t, call(payments, v.in(d.Token()).head()), trat.ReasonChainLinkInvalid)
		wantRefusal(t, call(mallory, v.ownRoot("mallory")), trat.ReasonChainRootMismatch)
		if err := call(payments, v.head()); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}

// Calls of one handler are siblings, each with a link of its own. A workload that gives two of
// them the same identity has but one.
//
// Covers B-T11, RTY-02.
func TestASiblingThatReusesAJTIIsRefused(t *testing.T) {
	d := trattest.New(t, domainName)
	client := dial(t, serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{}), d.ClientCredentials("gateway", d.Members()))
	token := d.Token()
	for i, k := range kinds() {
		chain, err := chaintest.Root{
			By: d.SVID("gateway"), To: d.ID("stocks"), Method: k.method, Token: token, ID: [16]byte{7}, At: d.Now(),
		}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		err = k.call(withChain(callContext(t), token, chain), client)
		if i > 0 {
			wantRefusal(t, err, trat.ReasonChainReplayed)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Bad chains cost the guard as much as bad tokens, and are limited like them.
//
// Covers VER-25.
func TestForgedChainsAreLimitedPerPeer(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guardOf(t, d, "stocks", anyScope(), interceptors.WithFailureLimit(2, 3))
	addr := serveAs(t, d, "stocks", g, &backend{})
	forger := dial(t, addr, d.ClientCredentials("payments", d.Members()))
	call := func(change func(*taken)) error {
		token := d.Token()
		chain := take(t, theft{t, d, token, unaryMethod}.genuine())
		change(&chain)
		return callUnary(withChain(callContext(t), token, chain.String()), forger)
	}
	forge := func(c *taken) { c.last[len(c.last)-1] ^= 1 }
	for range 3 {
		wantRefusal(t, call(forge), trat.ReasonChainLinkInvalid)
	}
	wantRefusal(t, call(forge), trat.ReasonRateLimited)
	wantRefusal(t, call(func(*taken) {}), trat.ReasonRateLimited)
	other := dialCarrierAs(t, d, "gateway", addr, carrier(t, d))
	if err := callUnary(d.Context(callContext(t)), other); err != nil {
		t.Errorf("another peer: %v", err)
	}
	d.Advance(500 * time.Millisecond)
	for range 5 { // what is good but of another call costs next to nothing, and does not count
		token := d.Token()
		elsewhere := theft{t, d, token, unaryMethod}.through("audit", unaryMethod)
		wantRefusal(t, callUnary(withChain(callContext(t), token, elsewhere), forger), trat.ReasonChainLinkInvalid)
		wantRefusal(t, callUnary(withChain(callContext(t), token), forger), trat.ReasonChainMissing)
	}
	if err := call(func(*taken) {}); err != nil {
		t.Errorf("when the allowance has grown: %v", err)
	}
	wantRefusal(t, callUnary(withChain(callContext(t), d.Token(), "x"), forger), trat.ReasonChainLinkInvalid)
	wantRefusal(t, call(func(*taken) {}), trat.ReasonRateLimited)
}
