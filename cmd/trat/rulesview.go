package main

import (
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// rulesView is the result of `trat rules list` and `trat rules doc`.
type rulesView struct {
	Services []serviceView `json:"services"`
	Problems []ruleProblem `json:"problems,omitempty"`
}

// serviceView is a service with the rules of its methods.
type serviceView struct {
	Name        string       `json:"name"`
	File        string       `json:"file"`
	Description string       `json:"description,omitempty"`
	Methods     []methodView `json:"methods"`
}

// methodView is a method with its rule. A method that is not declared has no rule beside
// it; Rule then is what holds whatever rule it has in code, if there is anything.
type methodView struct {
	Method      string    `json:"method"`
	Kind        string    `json:"kind"`
	Request     string    `json:"request"`
	Description string    `json:"description,omitempty"`
	Declared    bool      `json:"declared"`
	Exempt      string    `json:"exempt,omitempty"`
	Rule        *ruleView `json:"rule,omitempty"`
	// Remark is what the program has to have besides, as far as that can be seen here.
	Remark  string       `json:"remark,omitempty"`
	Sources []sourceView `json:"sources,omitempty"`
}

// ruleView is a rule in the words of rules.proto.
type ruleView struct {
	Scopes      []string          `json:"scopes,omitempty"`
	AnyScopes   [][]string        `json:"any_scopes,omitempty"`
	Tctx        []string          `json:"tctx,omitempty"`
	Callers     [][]string        `json:"callers,omitempty"`
	Chain       *chainView        `json:"chain,omitempty"`
	Replay      string            `json:"replay,omitempty"`
	Stream      *streamView       `json:"stream,omitempty"`
	Enforcement string            `json:"enforcement,omitempty"`
	When        []string          `json:"when,omitempty"`
	Bindings    []bindingView     `json:"bindings,omitempty"`
	Evaluation  *ruleEvaluateView `json:"access_evaluation,omitempty"`
}

type chainView struct {
	Mode        string   `json:"mode,omitempty"`
	Through     []string `json:"through,omitempty"`
	NotThrough  []string `json:"not_through,omitempty"`
	MaxLinks    int      `json:"max_links,omitempty"`
	StrictTrace bool     `json:"strict_trace,omitempty"`
}

type streamView struct {
	Expiry string `json:"expiry,omitempty"`
	Grace  string `json:"grace,omitempty"`
	MaxAge string `json:"max_age,omitempty"`
	Drain  string `json:"drain,omitempty"`
}

type bindingView struct {
	Field    string `json:"field"`
	Tctx     string `json:"tctx"`
	Relation string `json:"relation,omitempty"`
	Optional bool   `json:"optional,omitempty"`
}

type ruleEvaluateView struct {
	ResourceType string `json:"resource_type,omitempty"`
	ResourceID   string `json:"resource_id,omitempty"`
}

type sourceView struct {
	Kind  rules.SourceKind `json:"kind"`
	Where string           `json:"where"`
}

func newServiceView(descriptor protoreflect.ServiceDescriptor, methods []ruledMethod) serviceView {
	view := serviceView{
		Name: string(descriptor.FullName()), File: descriptor.ParentFile().Path(),
		Description: comment(descriptor), Methods: make([]methodView, len(methods)),
	}
	for i, m := range methods {
		view.Methods[i] = newMethodView(m)
	}
	return view
}

func newMethodView(m ruledMethod) methodView {
	view := methodView{
		Method: m.name, Kind: kindOf(m.descriptor), Request: string(m.descriptor.Input().FullName()),
		Description: comment(m.descriptor), Declared: m.declared, Exempt: m.rule.Exempt,
	}
	for _, source := range m.rule.Sources {
		view.Sources = append(view.Sources, sourceView(source))
	}
	if !m.exempt() && (m.declared || len(m.rule.Sources) > 0 || len(m.rule.Bindings) > 0) {
		view.Rule = newRuleView(m.rule)
		view.Remark = remark(m.rule)
	}
	return view
}

// remark says what CheckCoverage demands and may be in code, "" for nothing.
func remark(r rules.Rule) string {
	if mode := r.Chain.Mode; len(r.Callers) == 0 && (mode == rules.ChainHead || mode == rules.ChainOff) {
		return "chain mode " + mode.String() + " needs callers, from the proto file or from code: without them CheckCoverage fails"
	}
	return ""
}

func newRuleView(r rules.Rule) *ruleView {
	view := &ruleView{
		Scopes: r.Scopes, AnyScopes: r.AnyScopes, Tctx: r.Tctx, Callers: r.Callers,
		Replay: r.Replay.String(), Enforcement: r.Enforcement.String(), When: r.When,
	}
	chain := r.Chain
	if chain.Mode != 0 || len(chain.Through) > 0 || len(chain.NotThrough) > 0 || chain.MaxLinks != 0 || chain.StrictTrace {
		view.Chain = &chainView{
			Mode: chain.Mode.String(), Through: chain.Through, NotThrough: chain.NotThrough, StrictTrace: chain.StrictTrace,
		}
		if chain.Mode == rules.ChainPath || chain.Mode == 0 {
			view.Chain.MaxLinks = chain.MaxLinks
		}
	}
	if r.Stream != (rules.Stream{}) {
		view.Stream = &streamView{
			Expiry: r.Stream.Expiry.String(), Grace: duration(r.Stream.Grace), MaxAge: duration(r.Stream.MaxAge), Drain: duration(r.Stream.Drain),
		}
	}
	for _, b := range r.Bindings {
		view.Bindings = append(view.Bindings, bindingView(b))
	}
	if r.Evaluation != nil {
		view.Evaluation = &ruleEvaluateView{ResourceType: r.Evaluation.ResourceType, ResourceID: r.Evaluation.ResourceID}
	}
	return view
}

// duration is "" for none.
func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func kindOf(method protoreflect.MethodDescriptor) string {
	switch {
	case method.IsStreamingClient() && method.IsStreamingServer():
		return "both stream"
	case method.IsStreamingClient():
		return "client streams"
	case method.IsStreamingServer():
		return "server streams"
	}
	return "unary"
}

// comment is what stands before d in its file, if the set has source information.
func comment(d protoreflect.Descriptor) string {
	lines := strings.Split(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimRight(line, " \t\r"), " ")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
