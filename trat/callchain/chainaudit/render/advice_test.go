package render

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

func TestEveryKindOfFindingIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../finding.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Kind") {
			return true
		}
		kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if _, ok := advices[chainaudit.Kind(kind)]; !ok {
			t.Errorf("%q is not explained", kind)
		}
		return true
	})
	if found != len(advices) {
		t.Errorf("%d kinds, %d explanations", found, len(advices))
	}
}
