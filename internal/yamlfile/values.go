package yamlfile

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/trat"
)

// formatVersion is the version of the file formats that are read.
const formatVersion = "1"

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Label says which rule or test a problem is in, for Within: its name, if that can be had, or its
// position.
func Label(n *yaml.Node, position int) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if value := n.Content[i+1]; n.Content[i].Value == "name" && value.ShortTag() == "!!str" && value.Value != "" {
				return value.Value
			}
		}
	}
	return "#" + strconv.Itoa(position)
}

// positionPattern is what Label makes of a position.
var positionPattern = regexp.MustCompile(`^#[0-9]+$`)

// Quote returns a Label as a text shows it: a name in quotes, a position as it is.
func Quote(label string) string {
	if positionPattern.MatchString(label) {
		return label
	}
	return strconv.Quote(label)
}

// Version checks the version of a file whose top node is top.
func (r *Reader) Version(top, version *yaml.Node) {
	if version == nil {
		r.Add(top, "version", "is missing")
	} else if version.ShortTag() != "!!int" || version.Value != formatVersion {
		r.Add(version, "version", "want %s: this program reads no other format", formatVersion)
	}
}

// HeadReceipt reads how much of the call chain the receipt of a replacement has: path, or
// head, for which it returns true.
func (r *Reader) HeadReceipt(n *yaml.Node, field string) bool {
	switch r.Text(n, field) {
	case "path":
	case "head":
		return true
	default:
		r.Add(n, field, "want path or head")
	}
	return false
}

// Evaluation reads an access_evaluation: a policy decision point, and whether what it is
// asked about is issued where it gives no answer.
func (r *Reader) Evaluation(n *yaml.Node, field string) (pdp string, failOpen bool) {
	for _, m := range r.Mapping(n, field) {
		switch key := field + "." + m.Key.Value; m.Key.Value {
		case "pdp":
			pdp = r.Name(m.Value, key)
		case "on_error":
			switch r.Text(m.Value, key) {
			case "deny":
			case "allow":
				failOpen = true
			default:
				r.Add(m.Value, key, "want deny or allow")
			}
		default:
			r.Add(m.Key, key, "unknown key")
		}
	}
	if n.Kind == yaml.MappingNode && !slices.ContainsFunc(n.Content, func(k *yaml.Node) bool { return k.Value == "pdp" }) {
		r.Add(n, field+".pdp", "is missing")
	}
	return pdp, failOpen
}

// Name reads the name of a rule or a policy decision point.
func (r *Reader) Name(n *yaml.Node, field string) string {
	name := r.Text(n, field)
	if name != "" && !namePattern.MatchString(name) {
		r.Add(n, field, "want 1 to 64 letters, digits, '.', '_' and '-'")
	}
	return name
}

// Lifetime reads a time in whole seconds, from 1 s to the most that any TraT lives. After
// a problem it is what a TraT has by default.
func (r *Reader) Lifetime(n *yaml.Node, field string) time.Duration {
	if n.ShortTag() != "!!str" {
		r.Add(n, field, "want a duration such as 15s, not %s", Kind(n))
		return trat.DefaultLifetime
	}
	d, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		r.Add(n, field, "want a duration such as 15s")
	case d < time.Second || d%time.Second != 0:
		r.Add(n, field, "want whole seconds, at least 1s")
	case d > trat.MaxLifetime:
		r.Add(n, field, "is above %s, the most that any TraT lives", trat.MaxLifetime)
	default:
		return d
	}
	return trat.DefaultLifetime
}
