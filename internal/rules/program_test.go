package rules

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// transfer is a target with a request that conditions can name.
var transfer = Target{
	FullMethod:  "/rulestest.v1.LedgerService/Transfer",
	TrustDomain: spiffeid.RequireTrustDomainFromString("shop.test"),
	Input:       (*rulestestv1.TransferRequest)(nil).ProtoReflect().Descriptor(),
}

func mustCompile(tb testing.TB, rule Rule, target Target) *Program {
	tb.Helper()
	p, err := Compile(rule, target)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestRuleThatDoesNotFitItsMethodIsNotCompiled(t *testing.T) {
	stream := transfer
	stream.ServerStreams = true
	byCode := transfer
	byCode.CallersByCode = true
	for name, tt := range map[string]struct {
		target Target
		rule   Rule
		want   []string // none: it compiles
	}{
		"zero":                  {transfer, Rule{}, nil},
		"an exemption":          {transfer, Rule{Exempt: "x"}, nil},
		"a problem of its own":  {transfer, Rule{Scopes: []string{"a b"}}, []string{"scopes[0]"}},
		"an empty list":         {transfer, Rule{Callers: [][]string{{}}}, []string{"callers: a list names none"}},
		"a stream that is none": {transfer, Rule{Stream: Stream{MaxAge: 1}}, []string{"stream: the method does not stream"}},
		"a stream":              {stream, Rule{Stream: Stream{MaxAge: 1}}, nil},
		"head without callers":  {transfer, Rule{Chain: Chain{Mode: ChainHead}}, []string{"chain.mode: head needs callers"}},
		"off without callers":   {transfer, Rule{Chain: Chain{Mode: ChainOff}}, []string{"chain.mode: off needs callers"}},
		"head with callers":     {transfer, Rule{Chain: Chain{Mode: ChainHead, StrictTrace: true}, Callers: [][]string{{"/a"}}}, nil},
		"off, callers in code":  {byCode, Rule{Chain: Chain{Mode: ChainOff}}, nil},
		"a way with head":       {byCode, Rule{Chain: Chain{Mode: ChainHead, Through: []string{"/a"}}}, []string{"chain: through, not_through and max_links are for mode path, and it is head"}},
		"links with off":        {byCode, Rule{Chain: Chain{Mode: ChainOff, MaxLinks: 1}}, []string{"chain: through"}},
		"trace with off":        {byCode, Rule{Chain: Chain{Mode: ChainOff, StrictTrace: true}}, []string{"chain.strict_trace: needs a chain"}},
		"chain named with off":  {byCode, Rule{Chain: Chain{Mode: ChainOff}, When: []string{"size(chain) > 1"}}, []string{`when[0]: "size(chain) > 1": names chain, and chain.mode is off`}},
		"chain asked about":     {byCode, Rule{Chain: Chain{Mode: ChainOff}, Evaluation: &Evaluation{ResourceID: "chain[0]"}}, []string{"access_evaluation.resource_id: names chain"}},
		"conditions":            {transfer, Rule{When: []string{"request.to_account != sub", "request.none", "1 +"}}, []string{`when[1]: "request.none": line 1`, `when[2]: "1 +": `}},
		"a binding":             {transfer, Rule{Bindings: []Binding{{Field: "none", Tctx: "a"}}}, []string{`bindings: field "none"`}},
		"a relation beside it":  {transfer, Rule{Bindings: []Binding{{Field: "to_account", Tctx: "a"}, {Field: "to_account", Tctx: "a", Relation: "this != bound + 'x'"}}}, nil},
		"a resource":            {transfer, Rule{Evaluation: &Evaluation{ResourceID: "request.amount_cents"}}, []string{"access_evaluation.resource_id: "}},
		"a resource of a stream": {
			stream, Rule{Evaluation: &Evaluation{ResourceID: "request.to_account"}}, []string{"access_evaluation.resource_id: names request, and a stream"},
		},
		"a request that is not known": {
			Target{FullMethod: "/a.B/C"},
			Rule{Bindings: []Binding{{Field: "a", Tctx: "a"}}, When: []string{"request.a == sub"}},
			[]string{"bindings: the type of the request is not known", "when[0]: "},
		},
		"a trust domain that is not known": {
			Target{FullMethod: "/a.B/C"}, Rule{Callers: [][]string{{"spiffe://td/x", "/a"}}}, []string{`callers: "/a": a path is of the service's trust domain`},
		},
		"unknown values": {
			transfer,
			Rule{Chain: Chain{Mode: 9, MaxLinks: -1}, Replay: 9, Stream: Stream{Expiry: 9}, Enforcement: 9},
			[]string{"chain.mode: is unknown 9", "chain.max_links: -1", "replay: is unknown", "stream.expiry: is unknown", "enforcement: is unknown"},
		},
		"too long": {
			transfer, Rule{Exempt: strings.Repeat("x", syntax.MaxText+1)}, []string{"exempt.reason: longer than 4096 bytes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.rule.Sources = fromCode
			p, err := Compile(tt.rule, tt.target)
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(Effective(tt.rule, tt.target), p.Rule); diff != "" {
					t.Error(diff)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if want = "rule of " + tt.target.FullMethod + " (code /pkg.Svc/*): " + want; !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
		})
	}
}

func TestOneOfEachListOfCallersMayCall(t *testing.T) {
	for name, tt := range map[string]struct {
		callers [][]string
		allowed []string
		refused []string
	}{
		"none listed": {nil, []string{"spiffe://shop.test/a", "spiffe://other.test/x"}, nil},
		"a path":      {[][]string{{"/a"}}, []string{"spiffe://shop.test/a"}, []string{"spiffe://other.test/a", "spiffe://shop.test/ab", "spiffe://shop.test/a/b", "spiffe://shop.test"}},
		"patterns": {
			[][]string{{"/ns/*/a", "spiffe://other.test/x"}},
			[]string{"spiffe://shop.test/ns/1/a", "spiffe://other.test/x"},
			[]string{"spiffe://shop.test/ns/a", "spiffe://shop.test/x"},
		},
		"both lists": {
			[][]string{{"/a", "/b"}, {"/b", "/c"}}, []string{"spiffe://shop.test/b"}, []string{"spiffe://shop.test/a", "spiffe://shop.test/c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustCompile(t, Rule{Callers: tt.callers}, transfer)
			for _, id := range tt.allowed {
				if !p.AllowsCaller(spiffeid.RequireFromString(id)) {
					t.Errorf("%s is refused", id)
				}
			}
			for _, id := range append(tt.refused, "") {
				if peer, _ := spiffeid.FromString(id); p.AllowsCaller(peer) && tt.callers != nil {
					t.Errorf("%q is allowed", id)
				}
			}
		})
	}
	p := mustCompile(t, Rule{Chain: Chain{Through: []string{"/a"}, NotThrough: []string{"/b/*"}}}, transfer)
	if p.Through[0](spiffeid.RequireFromString("spiffe://shop.test/a")) != nil || p.Through[0](spiffeid.RequireFromString("spiffe://other.test/a")) == nil ||
		p.NotThrough[0](spiffeid.RequireFromString("spiffe://shop.test/b/c")) != nil || len(p.Through)+len(p.NotThrough) != 2 {
		t.Error("Through or NotThrough are other workloads")
	}
}

// Covers VER-18.
func TestTokenMustHoldWhatTheRuleNames(t *testing.T) {
	domain := trattest.New(t, "shop.test")
	token := domain.Token(trattest.Scope("a b.c"), trattest.Details(`{"m":1,"o":{"p":{"q":false},"n":null,"e":""},"l":[1]}`))
	bare := domain.Token(trattest.Scope("a"))
	for name, tt := range map[string]struct {
		rule   Rule
		token  *trat.Token
		reason trat.Reason // "": it is good
		field  string
	}{
		"nothing":              {Rule{}, bare, "", ""},
		"scopes":               {Rule{Scopes: []string{"b.c", "a"}}, token, "", ""},
		"a scope that is not":  {Rule{Scopes: []string{"a", "b"}}, token, trat.ReasonInsufficientScope, "scope"},
		"one of some":          {Rule{AnyScopes: [][]string{{"x", "a"}, {"b.c"}}}, token, "", ""},
		"none of some":         {Rule{AnyScopes: [][]string{{"a"}, {"x", "A"}}}, token, trat.ReasonInsufficientScope, "scope"},
		"members":              {Rule{Tctx: []string{"m", "o", "o.p.q", "o.e", "l"}}, token, "", ""},
		"a member that is not": {Rule{Tctx: []string{"m", "o.x"}}, token, trat.ReasonPolicyDenied, "tctx.o.x"},
		"null":                 {Rule{Tctx: []string{"o.n"}}, token, trat.ReasonPolicyDenied, "tctx.o.n"},
		"in a list":            {Rule{Tctx: []string{"l.x"}}, token, trat.ReasonPolicyDenied, "tctx.l.x"},
		"in what is no object": {Rule{Tctx: []string{"m.x"}}, token, trat.ReasonPolicyDenied, "tctx.m.x"},
		"no tctx at all":       {Rule{Tctx: []string{"m"}}, bare, trat.ReasonPolicyDenied, "tctx.m"},
		"an exemption":         {Rule{Exempt: "x"}, token, trat.ReasonPolicyDenied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := mustCompile(t, tt.rule, transfer).CheckToken(tt.token)
			wantReason(t, err, tt.reason, tt.field)
		})
	}
}

func wantReason(tb testing.TB, err error, reason trat.Reason, field string) {
	tb.Helper()
	if reason == "" {
		if err != nil {
			tb.Error(err)
		}
		return
	}
	var denied *trat.Error
	if !errors.As(err, &denied) || denied.Reason != reason || denied.Field != field {
		tb.Errorf("%v, want %s of %q", err, reason, field)
	}
}

// Covers VER-18.
func TestConditionsAreAskedWhenWhatTheyNameIsThere(t *testing.T) {
	call := conditionCall(t)
	transfer := transfer
	request := &rulestestv1.TransferRequest{FromAccount: "o-1", AmountCents: 3}
	other := dynamicpb.NewMessage((*rulestestv1.ImportRequest)(nil).ProtoReflect().Descriptor())
	for name, tt := range map[string]struct {
		rule            Rule
		message         proto.Message
		forCall, onWire trat.Reason
		field           string
		checks          bool
	}{
		"nothing":                     {rule: Rule{}, message: request},
		"no checks, no type":          {rule: Rule{}, message: &emptypb.Empty{}},
		"of the call":                 {rule: Rule{When: []string{"sub == 'user-1'"}}, message: request},
		"of the call, not met":        {rule: Rule{When: []string{"sub == 'user-1'", "sub == 'user-2'"}}, message: request, forCall: trat.ReasonPolicyDenied, field: "when[1]"},
		"of the call, not possible":   {rule: Rule{When: []string{"tctx.none == 1"}}, message: request, forCall: trat.ReasonPolicyDenied, field: "when[0]"},
		"of the request":              {rule: Rule{When: []string{"request.amount_cents < 4"}}, message: request, checks: true},
		"of the request, not met":     {rule: Rule{When: []string{"sub != ''", "request.amount_cents < 3"}}, message: request, onWire: trat.ReasonPolicyDenied, field: "when[1]", checks: true},
		"a binding":                   {rule: Rule{Bindings: []Binding{{Field: "from_account", Tctx: "order_id"}}}, message: request, checks: true},
		"a binding that does not":     {rule: Rule{Bindings: []Binding{{Field: "to_account", Tctx: "order_id"}}}, message: request, onWire: trat.ReasonPolicyDenied, field: "to_account", checks: true},
		"before conditions, bindings": {rule: Rule{Bindings: []Binding{{Field: "to_account", Tctx: "order_id"}}, When: []string{"request.amount_cents < 3"}}, message: request, onWire: trat.ReasonPolicyDenied, field: "to_account", checks: true},
		"another message":             {rule: Rule{When: []string{"request.amount_cents < 4"}}, message: other, onWire: trat.ReasonPolicyDenied, checks: true},
		"no message":                  {rule: Rule{When: []string{"request.amount_cents < 4"}}, onWire: trat.ReasonPolicyDenied, checks: true},
		"an exemption":                {rule: Rule{Exempt: "x"}, message: request, forCall: trat.ReasonPolicyDenied, onWire: trat.ReasonPolicyDenied, checks: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustCompile(t, tt.rule, transfer)
			field := func(reason trat.Reason) string {
				if reason == "" {
					return ""
				}
				return tt.field
			}
			wantReason(t, p.CheckCall(t.Context(), call), tt.forCall, field(tt.forCall))
			wantReason(t, p.CheckMessage(t.Context(), call, tt.message), tt.onWire, field(tt.onWire))
			if p.ChecksMessages() != tt.checks {
				t.Errorf("ChecksMessages is %v", !tt.checks)
			}
		})
	}
}

// The log has the cause, and several sources have a part in a rule: its text is what a
// condition is found by.
func TestRefusalByAConditionHasItsText(t *testing.T) {
	long := "sub == '" + strings.Repeat("x", 100) + "'"
	for name, tt := range map[string]struct {
		source, want string
	}{
		"not met":      {"sub == 'user-2'", `"sub == 'user-2'": the condition is not met`},
		"not possible": {"tctx.none == 1", `"tctx.none == 1": `},
		"a long one":   {long, `"` + long[:80] + `"…: the condition is not met`},
		"a message":    {"request.amount_cents < 3", `"request.amount_cents < 3": the condition is not met`},
	} {
		t.Run(name, func(t *testing.T) {
			p, call := mustCompile(t, Rule{When: []string{tt.source}}, transfer), conditionCall(t)
			err := errors.Join(p.CheckCall(t.Context(), call), p.CheckMessage(t.Context(), call, &rulestestv1.TransferRequest{AmountCents: 4}))
			if err == nil || !strings.Contains(err.Error(), "when[0]: "+tt.want) {
				t.Errorf("no %q in %v", tt.want, err)
			}
		})
	}
}

// Covers VER-19.
func TestDecisionPointIsAskedAboutTheResourceOfTheRule(t *testing.T) {
	call := conditionCall(t)
	request := &rulestestv1.TransferRequest{FromAccount: "acc"}
	for name, tt := range map[string]struct {
		rule    Rule
		message proto.Message
		kind    string
		id      string
		asked   bool
		field   string
		denied  bool
	}{
		"none":             {rule: Rule{}, message: request},
		"by default":       {rule: Rule{Evaluation: &Evaluation{}}, kind: "grpc_service", id: "rulestest.v1.LedgerService", asked: true},
		"of the call":      {rule: Rule{Evaluation: &Evaluation{ResourceType: "order", ResourceID: "tctx.order_id"}}, kind: "order", id: "o-1", asked: true},
		"of the request":   {rule: Rule{Evaluation: &Evaluation{ResourceID: "request.from_account"}}, message: request, kind: "grpc_service", id: "acc", asked: true},
		"no request":       {rule: Rule{Evaluation: &Evaluation{ResourceID: "request.from_account"}}, asked: true, denied: true},
		"another request":  {rule: Rule{Evaluation: &Evaluation{ResourceID: "request.from_account"}}, message: &emptypb.Empty{}, asked: true, denied: true},
		"what is not text": {rule: Rule{Evaluation: &Evaluation{ResourceID: "tctx.none"}}, asked: true, denied: true, field: "access_evaluation.resource_id"},
		"an exemption":     {rule: Rule{Exempt: "x"}, asked: true, denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			kind, id, asked, err := mustCompile(t, tt.rule, transfer).Resource(t.Context(), call, tt.message)
			if tt.denied {
				wantReason(t, err, trat.ReasonPolicyDenied, tt.field)
			} else if err != nil {
				t.Error(err)
			}
			if kind != tt.kind || id != tt.id || asked != tt.asked {
				t.Errorf("%q, %q, asked %v", kind, id, asked)
			}
		})
	}
}

func TestZeroProgramRefusesEverything(t *testing.T) {
	var p Program
	call := conditionCall(t)
	_, _, asked, err := p.Resource(t.Context(), call, nil)
	if p.AllowsCaller(call.Peer) || p.CheckToken(call.Token) == nil || p.CheckCall(t.Context(), call) == nil || !p.ChecksMessages() ||
		p.CheckMessage(t.Context(), call, &emptypb.Empty{}) == nil || !asked || err == nil {
		t.Error("the zero Program lets something through")
	}
}

func TestChecksOfEveryCallDoNotAllocate(t *testing.T) {
	p, call := callProgram(t)
	if n := testing.AllocsPerRun(100, func() { _ = p.AllowsCaller(call.Peer) }); n != 0 {
		t.Errorf("AllowsCaller allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = p.CheckToken(call.Token) }); n != 0 {
		t.Errorf("CheckToken allocates %v times", n)
	}
	if err := p.CheckToken(call.Token); err != nil || !p.AllowsCaller(call.Peer) {
		t.Errorf("refused: %v", err)
	}
}

// callProgram is a program with some of everything that is asked for each call.
func callProgram(tb testing.TB) (*Program, *Call) {
	tb.Helper()
	return mustCompile(tb, Rule{
		Scopes: []string{"order.create"}, AnyScopes: [][]string{{"x", "order.read"}}, Callers: [][]string{{"/gateway", "/*"}},
		Tctx: []string{"order_id", "order.id", "order.deep.er.yes"},
	}, transfer), conditionCall(tb)
}

func BenchmarkProgram(b *testing.B) {
	p, call := callProgram(b)
	b.Run("caller", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !p.AllowsCaller(call.Peer) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("token", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := p.CheckToken(call.Token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
