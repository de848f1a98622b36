package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
)

// MaxOverlaySize is the largest overlay file that ParseOverlay reads, in bytes.
const MaxOverlaySize = 1 << 20

// Overlay is what a platform team demands beyond what services do: rules by full method, or
// by "/pkg.Service/*" for all methods of one service. For a method with both, both hold.
type Overlay map[string]Rule

// ParseOverlay reads an overlay file: YAML with a version, which is 1, and with rules, each
// of which has the form of trat.v1.Rule in protobuf's JSON. An exemption is an error. All
// problems are reported at once, each with its line. What needs the method, and what needs
// the rule that is tightened, is left to Compile and Tighten.
func ParseOverlay(text []byte) (Overlay, error) {
	if len(text) > MaxOverlaySize {
		return nil, fmt.Errorf("overlay: the file is larger than %d bytes", MaxOverlaySize)
	}
	var r overlayReader
	overlay := r.file(text)
	if err := r.Err(overlayProblem); err != nil {
		return nil, err
	}
	return overlay, nil
}

// overlayProblem is one problem as an error.
func overlayProblem(p yamlfile.Problem) error {
	var b strings.Builder
	b.WriteString("overlay: ")
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	for _, place := range []string{p.Within, p.Field} {
		if place != "" {
			b.WriteString(place + ": ")
		}
	}
	return errors.New(b.String() + p.Text)
}

// overlayReader reads one file.
type overlayReader struct {
	yamlfile.Reader
	// nodes has, for each field of the rule that is being read, where it is.
	nodes map[string]*yaml.Node
}

func (r *overlayReader) file(text []byte) Overlay {
	top := r.Document(text)
	if top == nil {
		return nil
	}
	var version, list *yaml.Node
	for _, m := range r.Mapping(top, "") {
		switch m.Key.Value {
		case "version":
			version = m.Value
		case "rules":
			list = m.Value
		default:
			r.Add(m.Key, syntax.ShownKey(m.Key.Value), "unknown key")
		}
	}
	if top.Kind != yaml.MappingNode {
		return nil // which has been said
	}
	r.Version(top, version)
	if list == nil {
		r.Add(top, "rules", "is missing; an overlay that demands nothing says so: rules: {}")
		return nil
	}
	overlay := make(Overlay)
	for _, m := range r.Mapping(list, "rules") {
		if !keyPattern.MatchString(m.Key.Value) {
			r.Add(m.Key, syntax.ShownKey(m.Key.Value), `want "/pkg.Service/Method", or "/pkg.Service/*" for all methods of a service`)
			continue
		}
		r.Within = m.Key.Value
		overlay[m.Key.Value] = r.rule(m.Key.Value, m.Value)
		r.Within = ""
	}
	return overlay
}

var keyPattern = regexp.MustCompile(`^/[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*/([A-Za-z_][A-Za-z0-9_]*|\*)$`)

// rule reads the rule of one key.
func (r *overlayReader) rule(key string, n *yaml.Node) Rule {
	r.nodes = map[string]*yaml.Node{"": n}
	var message tratv1.Rule
	r.message(n, message.ProtoReflect(), "")
	if message.GetExempt() != nil {
		r.Add(r.nodes["exempt"], "exempt", "an overlay can only demand more")
		return Rule{}
	}
	rule, found := ruleOf(&message)
	unread := r.unread(key)
	for _, p := range append(found, rule.problems()...) {
		// What was not read is found missing as well, which is of no interest.
		if !slices.ContainsFunc(unread, func(place string) bool { return concerns(place, p.place()) }) {
			r.Add(r.nodeOf(p), p.place(), "%s", p.text)
		}
	}
	rule.Sources = []Source{{Kind: FromOverlay, Where: key}}
	return rule
}

// unread are the places in a rule that could not be read as they are written.
func (r *overlayReader) unread(key string) (places []string) {
	_ = r.Err(func(p yamlfile.Problem) error {
		if p.Within == key {
			places = append(places, p.Field)
		}
		return nil
	})
	return places
}

// concerns reports whether one place is in the other, or is it.
func concerns(one, other string) bool {
	if len(one) > len(other) {
		one, other = other, one
	}
	rest, ok := strings.CutPrefix(other, one)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// nodeOf returns where a problem is: the node of its field, or of what that is missing in.
func (r *overlayReader) nodeOf(p problem) *yaml.Node {
	for _, field := range []string{p.place(), p.field, parentOf(p.field)} {
		if n := r.nodes[field]; n != nil {
			return n
		}
	}
	return r.nodes[""]
}

func parentOf(field string) string {
	i := strings.LastIndexByte(field, '.')
	return field[:max(i, 0)]
}
