package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// ruleRow is one line of what a method requires.
type ruleRow struct{ label, text string }

// style is how a kind of output writes what was taken from proto files.
type style struct {
	code  func(string) string // a name, a path, an expression
	prose func(string) string // a sentence of a person
}

// rows are what a method requires, for a person; the first says so if there is no rule.
func (m methodView) rows(s style) []ruleRow {
	var rows []ruleRow
	add := func(label, text string) { rows = append(rows, ruleRow{label, text}) }
	switch {
	case m.Exempt != "":
		add("exempt", "needs no TraT: "+s.prose(m.Exempt))
	case !m.Declared:
		add("no rule", withoutRule(m.Method))
	}
	if m.Rule != nil {
		rows = append(rows, m.Rule.rows(s)...)
	}
	if m.Remark != "" {
		add("remark", m.Remark)
	}
	if len(m.Sources) > 0 {
		add("source", m.sources(s))
	}
	return rows
}

// withoutRule is what becomes of calls of a method that has no rule beside it.
func withoutRule(fullMethod string) string {
	if strings.HasPrefix(fullMethod, "/grpc.health.v1.Health/") {
		return "health checking needs no TraT, unless code has a rule"
	}
	return "denied unless code has one"
}

// sources are the kinds of places where the rule was written. Which places these are goes
// without saying, but for the keys of an overlay.
func (m methodView) sources(s style) string {
	var kinds []string
	for _, source := range m.Sources {
		kind := string(source.Kind)
		if source.Kind == rules.FromOverlay {
			kind += " " + s.code(source.Where)
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, ", ")
}

func (r *ruleView) rows(s style) []ruleRow {
	var rows []ruleRow
	add := func(label, text string) {
		if text != "" {
			rows = append(rows, ruleRow{label, text})
		}
	}
	list := func(names []string, between string) string {
		quoted := make([]string, len(names))
		for i, name := range names {
			quoted[i] = s.code(name)
		}
		return strings.Join(quoted, between)
	}
	for _, callers := range r.Callers {
		add("callers", list(callers, " or "))
	}
	add("scopes", list(r.Scopes, " and "))
	for _, scopes := range r.AnyScopes {
		add("scopes", list(scopes, " or "))
	}
	add("tctx", list(r.Tctx, " and "))
	for _, b := range r.Bindings {
		add("field", b.text(s))
	}
	for _, condition := range r.When {
		add("condition", s.code(condition))
	}
	if r.Chain != nil {
		add("chain", r.Chain.text(list))
	}
	switch r.Replay {
	case "jti":
		add("replay", "jti: each link once")
	case "once":
		add("replay", "once: each link once, and each request of a transaction once")
	case "off":
		add("replay", "off: a link any number of times")
	}
	if r.Stream != nil {
		add("stream", r.Stream.text())
	}
	if r.Evaluation != nil {
		add("decision", r.Evaluation.text(s))
	}
	switch r.Enforcement {
	case "presence":
		add("enforcement", "presence, if the program says so too: a valid TraT is needed, all else is reported only")
	case "shadow":
		add("enforcement", "shadow, if the program says so too: refusals are reported only")
	default:
		add("enforcement", r.Enforcement)
	}
	return rows
}

func (b bindingView) text(s style) string {
	text := s.code(b.Field) + " equals " + s.code("tctx."+b.Tctx)
	if b.Relation != "" {
		text = fmt.Sprintf("%s: %s, where this is the field and bound is %s", s.code(b.Field), s.code(b.Relation), s.code("tctx."+b.Tctx))
	}
	if b.Optional {
		text += "; both may be absent"
	}
	return text
}

func (c *chainView) text(list func([]string, string) string) string {
	var parts []string
	add := func(text string) { parts = append(parts, text) }
	switch c.Mode {
	case "path":
		add("path: all links")
	case "head":
		add("head: the last link only")
	case "off":
		add("off: none")
	}
	if c.MaxLinks > 0 {
		add(fmt.Sprintf("at most %d", c.MaxLinks))
	}
	if len(c.Through) > 0 {
		add("through " + list(c.Through, " and "))
	}
	if len(c.NotThrough) > 0 {
		add("not through " + list(c.NotThrough, " or "))
	}
	if c.StrictTrace {
		add("traceparent as signed")
	}
	return strings.Join(parts, ", ")
}

func (v *streamView) text() string {
	var parts []string
	switch v.Expiry {
	case "open_only":
		parts = append(parts, "open_only: it may outlive its TraT")
	case "close_at_exp":
		parts = append(parts, "close_at_exp: it is closed when its TraT expires")
	case "grace":
		parts = append(parts, fmt.Sprintf("grace: it is closed %s after its TraT expires", v.Grace))
	}
	if v.MaxAge != "" {
		parts = append(parts, "open for at most "+v.MaxAge)
	}
	if v.Drain != "" {
		parts = append(parts, "the handler is told "+v.Drain+" before its end")
	}
	return strings.Join(parts, ", ")
}

func (v *ruleEvaluateView) text(s style) string {
	text := "of a policy decision point, about the service"
	if v.ResourceID != "" {
		text = "of a policy decision point, about " + s.code(v.ResourceID)
	}
	if v.ResourceType != "" {
		text += " as " + s.code(v.ResourceType)
	}
	return text
}
