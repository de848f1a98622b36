package chainaudit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every kind of finding, and every member of a line, is explained.
func TestDocumentExplainsKindsAndMembers(t *testing.T) {
	page, err := os.ReadFile("../../../docs/call-chain-audit.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := constants(t, "finding.go", "Kind")
	if len(kinds) < 20 {
		t.Errorf("found %d kinds", len(kinds))
	}
	for _, kind := range kinds {
		if !strings.Contains(string(page), "| "+kind+" |") {
			t.Errorf("the page does not explain the finding %q", kind)
		}
	}
	members := constants(t, "../chainlog/format.go", "member")
	if len(members) < 20 {
		t.Errorf("found %d members", len(members))
	}
	for _, member := range members {
		if !strings.Contains(string(page), "`"+member+"`") {
			t.Errorf("the page does not explain the member %q", member)
		}
	}
}

// constants returns the values of the string constants of a file whose names begin so.
func constants(t *testing.T, file, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}
