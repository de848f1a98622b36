package interceptors_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// wantProblems checks that err names every one of problems.
func wantProblems(t *testing.T, err error, problems ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range problems {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if got := len(strings.Split(err.Error(), "\n")); got != len(problems) {
		t.Errorf("%d problems, want %d:\n%v", got, len(problems), err)
	}
}

func TestNewServerReportsAllProblemsAtOnce(t *testing.T) {
	_, err := interceptors.NewServer(interceptors.ServerConfig{}, nil,
		interceptors.WithClock(nil), interceptors.WithLogger(nil), interceptors.WithMeterProvider(nil),
		interceptors.WithMaxHeaderListSize(4096), interceptors.WithFailureLimit(0, 1),
		interceptors.WithFailureLimit(math.NaN(), 1),
		interceptors.WithFailureLimit(math.Inf(1), 1), interceptors.WithFailureLimit(1, 0),
		interceptors.UnsafeAllowPeerTrustDomain(spiffeid.TrustDomain{}), nil,
		interceptors.WithReplayLimit(0), interceptors.WithReplayOverflow(0), interceptors.WithReplayOverflow(3),
		interceptors.WithOnceStore(nil), interceptors.WithChainLog(nil))
	wantProblems(t, err, "no Verifier", "no SVIDs", "no Bundles", "rules are nil",
		"WithClock: nil", "WithLogger: nil", "WithMeterProvider: nil", "WithMaxHeaderListSize: 4096",
		"WithFailureLimit: 0", "WithFailureLimit: NaN", "WithFailureLimit: +Inf", "WithFailureLimit: 1 per second and 0",
		"UnsafeAllowPeerTrustDomain: no trust domain", "nil option",
		"WithReplayLimit: 0", "WithReplayOverflow: 0", "WithReplayOverflow: 3", "WithOnceStore: nil", "WithChainLog: nil")
}

// A rule that accepts requests once must be told where to remember them, and only once.
//
// Covers RTY-09.
func TestOnceNeedsAPlaceToRemember(t *testing.T) {
	d := trattest.New(t, domainName)
	store, err := replay.NewMemory(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	once := interceptors.Rules{unaryMethod: interceptors.Require().Once(), serverStreaming: interceptors.Require()}
	for name, tc := range map[string]struct {
		rules interceptors.Rules
		opts  []interceptors.ServerOption
		want  []string // nil: good
	}{
		"nowhere":                  {once, nil, []string{"Once needs WithOnceStore"}},
		"shared":                   {once, []interceptors.ServerOption{interceptors.WithOnceStore(store)}, nil},
		"single replica":           {once, []interceptors.ServerOption{interceptors.SingleReplica()}, nil},
		"both":                     {once, []interceptors.ServerOption{interceptors.SingleReplica(), interceptors.WithOnceStore(store)}, []string{"exclude each other"}},
		"not asked for":            {anyScope(), nil, nil},
		"given, but not asked for": {anyScope(), []interceptors.ServerOption{interceptors.WithOnceStore(store)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := interceptors.NewServer(serverConfig(d), tc.rules, tc.opts...)
			if tc.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantProblems(t, err, tc.want...)
		})
	}
}

type brokenSource struct{}

func (brokenSource) GetX509SVID() (*x509svid.SVID, error) {
	return nil, errors.New("agent out of reach")
}

func TestOwnIdentityMustBeInTheTrustDomain(t *testing.T) {
	d, other := trattest.New(t, domainName), trattest.New(t, "partner.test")
	cfg := serverConfig(d)
	cfg.SVIDs, cfg.Bundles = other.Source("orders"), other.Source("orders")
	_, err := interceptors.NewServer(cfg, interceptors.Rules{})
	wantProblems(t, err, "own identity spiffe://partner.test/orders is not in the trust domain shop.test", "bundle of the own trust domain")

	_, err = interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: other.Source("orders")})
	wantProblems(t, err, "own identity spiffe://partner.test/orders is not in the trust domain shop.test")

	_, err = interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: brokenSource{}})
	wantProblems(t, err, "own X.509-SVID: agent out of reach")
}

func TestNewClientReportsAllProblemsAtOnce(t *testing.T) {
	_, err := interceptors.NewClient(interceptors.ClientConfig{},
		interceptors.WithClock(nil), interceptors.WithoutToken("/pkg.Svc/Method", ""),
		interceptors.WithoutToken("/pkg.Svc/*", "why"), interceptors.WithoutToken("Method", "why"),
		interceptors.UnsafeAllowServerTrustDomain(spiffeid.TrustDomain{}), nil,
		interceptors.WithLinkSigner(nil), interceptors.WithChainMode("/*", callchain.ModeHead), interceptors.WithChainMode("/pkg.Svc/Get", 0))
	wantProblems(t, err, "no TrustDomain", "no SVIDs", "WithClock", "needs its reason",
		`"/pkg.Svc/*" is not`, `"Method" is not`, "UnsafeAllowServerTrustDomain", "nil option",
		"WithLinkSigner: nil", `WithChainMode: "/*"`, `WithChainMode: "/pkg.Svc/Get": no mode`)
}

func TestNewEdgeReportsAllProblemsAtOnce(t *testing.T) {
	_, err := interceptors.NewEdge(interceptors.WithClock(nil), nil)
	wantProblems(t, err, "WithClock", "nil option")
}

func TestRulesAreValidated(t *testing.T) {
	d := trattest.New(t, domainName)
	match := spiffeid.MatchID(d.ID("gateway"))
	good := interceptors.Require(testScope)
	for name, tc := range map[string]struct {
		key  string
		rule interceptors.Rule
		want []string // nil: the rule is good
	}{
		"exact method":            {"/pkg.Svc/Method", good, nil},
		"service":                 {"/pkg.Svc/*", good, nil},
		"no package":              {"/Svc/Method", good, nil},
		"everything":              {unaryMethod, good.FromCallers(match).Check(allow).CheckMessage(allow).RelayDownstream(), nil},
		"exemption":               {"/pkg.Svc/Method", interceptors.Exempt("public"), nil},
		"relaying exemption":      {"/pkg.Svc/Method", interceptors.Exempt("public").RelayDownstream(), nil},
		"empty key":               {"", good, []string{`"" is neither`}},
		"no leading slash":        {"pkg.Svc/Method", good, []string{"is neither"}},
		"no method":               {"/pkg.Svc", good, []string{"is neither"}},
		"empty method":            {"/pkg.Svc/", good, []string{"is neither"}},
		"three parts":             {"/pkg.Svc/A/B", good, []string{"is neither"}},
		"all services":            {"/*", good, []string{"is neither"}},
		"wildcard service":        {"/*/Method", good, []string{"is neither"}},
		"partial wildcard":        {"/pkg.Svc/Get*", good, []string{"is neither"}},
		"double star":             {"/pkg.Svc/**", good, []string{"is neither"}},
		"empty part of a name":    {"/pkg..Svc/Method", good, []string{"is neither"}},
		"digit first":             {"/pkg.Svc/1st", good, []string{"is neither"}},
		"space":                   {"/pkg.Svc/Method ", good, []string{"is neither"}},
		"zero rule":               {"/pkg.Svc/Method", interceptors.Rule{}, []string{"zero Rule"}},
		"conditions on nothing":   {"/pkg.Svc/Method", interceptors.Rule{}.Check(allow), []string{"zero Rule"}},
		"exemption without why":   {"/pkg.Svc/Method", interceptors.Exempt(""), []string{"needs its reason"}},
		"exempt service":          {"/pkg.Svc/*", interceptors.Exempt("public"), []string{"wildcard cannot be exempt"}},
		"exempt health":           {"/grpc.health.v1.Health/*", interceptors.Exempt("it is so already"), []string{"wildcard cannot be exempt"}},
		"conditional exemption":   {"/pkg.Svc/Method", interceptors.Exempt("public").FromCallers(match), []string{"cannot have conditions"}},
		"empty scope":             {"/pkg.Svc/Method", interceptors.Require("a", ""), []string{`scope ""`}},
		"two scopes in one":       {"/pkg.Svc/Method", interceptors.Require("a b"), []string{`scope "a b"`}},
		"scope with a bad letter": {"/pkg.Svc/Method", interceptors.Require(`a"b`), []string{"scope"}},
		"no callers":              {"/pkg.Svc/Method", good.FromCallers(), []string{"names nobody"}},
		"nil matcher":             {"/pkg.Svc/Method", good.FromCallers(match, nil), []string{"nil matcher"}},
		"nil check":               {"/pkg.Svc/Method", good.Check(nil), []string{"a check is nil"}},
		"nil message check":       {"/pkg.Svc/Method", good.CheckMessage(nil), []string{"a check is nil"}},
		"everything about chains": {unaryMethod, good.Through(match).NotThrough(match).MaxLinks(3).StrictTrace().ReplayOff(), nil},
		"head":                    {unaryMethod, good.ChainHead().FromCallers(match).StrictTrace(), nil},
		"off":                     {unaryMethod, good.FromCallers(match).ChainOff().ReplayOff(), nil},
		"head and off":            {unaryMethod, good.ChainHead().ChainOff().FromCallers(match), []string{"ChainHead and ChainOff exclude"}},
		"path rule in head":       {unaryMethod, good.ChainHead().FromCallers(match).Through(match), []string{"are for chain mode path"}},
		"depth in head":           {unaryMethod, good.ChainHead().FromCallers(match).MaxLinks(3), []string{"are for chain mode path"}},
		"path rule in off":        {unaryMethod, good.ChainOff().FromCallers(match).NotThrough(match), []string{"are for chain mode path"}},
		"trace in off":            {unaryMethod, good.ChainOff().FromCallers(match).StrictTrace(), []string{"StrictTrace needs a chain"}},
		"through nobody":          {unaryMethod, good.Through(), []string{"Through names nobody"}},
		"not through nobody":      {unaryMethod, good.NotThrough(), []string{"NotThrough names nobody"}},
		"through nil":             {unaryMethod, good.Through(match, nil), []string{"nil matcher"}},
		"not through nil":         {unaryMethod, good.NotThrough(nil), []string{"nil matcher"}},
		"no links":                {unaryMethod, good.MaxLinks(0), []string{"MaxLinks: 0 is not 1 to 6"}},
		"too many links":          {unaryMethod, good.MaxLinks(7), []string{"MaxLinks: 7 is not 1 to 6"}},
		"once and off":            {unaryMethod, good.ReplayOff().Once(), []string{"Once and ReplayOff exclude", "needs WithOnceStore"}},
		"exemption with a chain":  {unaryMethod, interceptors.Exempt("public").ChainOff(), []string{"cannot have conditions"}},
		"exemption, once":         {unaryMethod, interceptors.Exempt("public").Once(), []string{"cannot have conditions", "needs WithOnceStore"}},
		"zero rule with a chain":  {unaryMethod, interceptors.Rule{}.ChainOff().FromCallers(match), []string{"zero Rule"}},
		"everything about tokens": {"/pkg.Svc/*", good.AnyScope("a", "b").RequireTctx("order.id").When("sub != ''").Bind("id", "order.id").BindOptional("note", "note").BindRelation("n", "max", "this <= bound").AccessEvaluation("", ""), nil},
		"everything on streams":   {"/pkg.Svc/*", good.StreamGrace(trat.MaxLifetime).StreamMaxAge(time.Hour).StreamDrain(time.Second), nil},
		"one of no scopes":        {"/pkg.Svc/*", good.AnyScope(), []string{"AnyScope names none"}},
		"one of bad scopes":       {"/pkg.Svc/*", good.AnyScope("a", "a b"), []string{`scope "a b"`}},
		"no member":               {"/pkg.Svc/*", good.RequireTctx(), []string{"RequireTctx names nothing"}},
		"no relation":             {"/pkg.Svc/*", good.BindRelation("id", "order.id", ""), []string{`BindRelation: field "id" has no relation`}},
		"two evaluations":         {"/pkg.Svc/*", good.AccessEvaluation("", "").AccessEvaluation("a", "b"), []string{"AccessEvaluation is given twice"}},
		"no grace":                {"/pkg.Svc/*", good.StreamGrace(0), []string{"StreamGrace: 0s"}},
		"too much grace":          {"/pkg.Svc/*", good.StreamGrace(trat.MaxLifetime + 1), []string{"StreamGrace: 5m0.000000001s"}},
		"no age":                  {"/pkg.Svc/*", good.StreamMaxAge(-1), []string{"StreamMaxAge: -1ns"}},
		"no drain":                {"/pkg.Svc/*", good.StreamDrain(0), []string{"StreamDrain: 0s"}},
		"two expiries":            {"/pkg.Svc/*", good.StreamOpenOnly().StreamCloseAtExp(), []string{"exclude each other"}},
		"exemption with a member": {unaryMethod, interceptors.Exempt("public").RequireTctx("a"), []string{"cannot have conditions"}},
		"exemption of a stream":   {unaryMethod, interceptors.Exempt("public").StreamOpenOnly(), []string{"cannot have conditions"}},
		"several":                 {"/pkg.Svc/Get*", interceptors.Require("").FromCallers(), []string{"names nobody", "is neither", `scope ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := interceptors.NewServer(serverConfig(d), interceptors.Rules{tc.key: tc.rule})
			if tc.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantProblems(t, err, tc.want...)
		})
	}
}

func TestRulesAreImmutableValues(t *testing.T) {
	d := trattest.New(t, domainName)
	gateway, billing := spiffeid.MatchID(d.ID("gateway")), spiffeid.MatchID(d.ID("billing"))
	base := interceptors.Require().FromCallers(billing)
	_ = base.FromCallers(gateway) // must not reach into base
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, interceptors.Rules{wholeService: base}), &backend{}))
	if err := callUnary(withToken(callContext(t), d.Raw()), client); err == nil {
		t.Error("a rule changed when another was made from it")
	}
	rules := interceptors.Rules{wholeService: base}
	g := guard(t, d, rules)
	rules[wholeService] = interceptors.Require() // too late to loosen g
	client = dialRaw(t, d, serveGuarded(t, d, g, &backend{}))
	if err := callUnary(withToken(callContext(t), d.Raw()), client); err == nil {
		t.Error("a guard's rules changed after it was made")
	}
}

func TestWhatLoosensIsLogged(t *testing.T) {
	d, other := trattest.New(t, domainName), trattest.New(t, "partner.test")
	var out bytes.Buffer
	logger := interceptors.WithLogger(slog.New(slog.NewTextHandler(&out, nil)))
	g := guard(t, d, eachMethod(interceptors.Exempt("it is public")), logger, interceptors.UnsafeAllowPeerTrustDomain(other.TrustDomain()))
	serveGuarded(t, d, g, &backend{})
	carrier(t, d, logger, interceptors.UnsafeAllowServerTrustDomain(other.TrustDomain()))
	for _, want := range []string{
		`rpc.method=grpc.testing.TestService/UnaryCall why="it is public"`,
		`TraT guard admits peers of another trust domain" trust_domain=partner.test`,
		`TraT carrier sends tokens to another trust domain" trust_domain=partner.test`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("log does not say %q:\n%s", want, out.String())
		}
	}
}

// Covers PROP-07.
func TestTheCarrierDemandsTransportSecurity(t *testing.T) {
	d := trattest.New(t, domainName)
	opts := append(carrier(t, d).DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if cc, err := grpc.NewClient("passthrough:///127.0.0.1:1", opts...); err == nil {
		_ = cc.Close()
		t.Error("a carrier was put on a plaintext connection")
	}
}
