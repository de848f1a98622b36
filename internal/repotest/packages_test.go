package repotest

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryPackageIsDocumentedOnce(t *testing.T) {
	for _, p := range loadPackages(t) {
		if match("gen/...", p.Path) {
			continue
		}
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })

		var documented []string
		for _, name := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Doc != nil {
				documented = append(documented, filepath.Base(name))
			}
		}
		if len(documented) != 1 {
			t.Errorf("%s has its package comment in %d files %v, want it in one", p.Path, len(documented), documented)
		}
	}
}
