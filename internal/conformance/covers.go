package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A test is a function that says what it covers.
type test struct {
	name   string // directory and function: trat.TestVerify
	at     string // file:line of the Covers line
	covers []string
	// integration: it has the build tag, and is no part of the module's test run.
	integration bool
}

var (
	coversLine = regexp.MustCompile(`^Covers ((?:[A-Z]+-[A-Z]?[0-9]+)(?:, [A-Z]+-[A-Z]?[0-9]+)*)\.$`)
	testFunc   = regexp.MustCompile(`^(?:Test|Fuzz|Example)(?:$|[^a-z])`)
)

// findCovers reads the Covers lines of all test files below root that belong to its module.
func findCovers(root string) ([]test, error) {
	var tests []test
	var errs []error
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && skipDir(path) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		found, err := fileCovers(root, path)
		tests = append(tests, found...)
		errs = append(errs, err)
		return nil
	})
	return tests, errors.Join(append(errs, err)...)
}

// skipDir reports whether the go command would not look for packages of this module in dir:
// the tests there are not run by the module's test run.
func skipDir(dir string) bool {
	base := filepath.Base(dir)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func fileCovers(root, path string) ([]test, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	integration, err := hasIntegrationTag(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	names := make(map[*ast.CommentGroup]string) // of the test functions, by their comments
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if ok && function.Recv == nil && function.Doc != nil && testFunc.MatchString(function.Name.Name) {
			names[function.Doc] = function.Name.Name
		}
	}

	dir, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var tests []test
	var errs []error
	for _, comment := range file.Comments {
		ids, line, err := commentCovers(comment)
		at := fmt.Sprintf("%s:%d", path, files.Position(comment.Pos()).Line+line)
		name, above := names[comment]
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
		case ids == nil:
		case !above:
			errs = append(errs, fmt.Errorf("%s: the Covers line is not in the comment of a Test, Fuzz or Example function", at))
		default:
			tests = append(tests, test{name: filepath.ToSlash(dir) + "." + name, at: at, covers: ids, integration: integration})
		}
	}
	return tests, errors.Join(errs...)
}

// hasIntegrationTag says whether the file is built only with the tag integration.
func hasIntegrationTag(file *ast.File) (bool, error) {
	for _, group := range file.Comments {
		if group.Pos() > file.Package {
			break
		}
		for _, comment := range group.List {
			if !constraint.IsGoBuild(comment.Text) {
				continue
			}
			built, err := constraint.Parse(comment.Text)
			if err != nil {
				return false, err
			}
			return !built.Eval(func(tag string) bool { return tag != "integration" }), nil
		}
	}
	return false, nil
}

// commentCovers returns the ids that a comment's Covers lines name, or none when it has no
// such line, and the number of the last one in the comment, from 0. A list that is too long
// for one line goes on in the next, up to the full stop, or in another Covers line.
func commentCovers(comment *ast.CommentGroup) (ids []string, line int, err error) {
	lines := commentLines(comment)
	for i, text := range lines {
		if !strings.HasPrefix(text, "Covers ") {
			continue
		}
		for next := i + 1; !strings.HasSuffix(text, ".") && next < len(lines); next++ {
			text += " " + lines[next]
		}
		found := coversLine.FindStringSubmatch(text)
		if found == nil {
			return nil, i, errors.New("want the form: Covers VER-03, VER-04")
		}
		ids, line = append(ids, strings.Split(found[1], ", ")...), i
	}
	return ids, line, nil
}

// commentLines returns the lines of a comment without their markers. Only // comments can
// hold a Covers line.
func commentLines(comment *ast.CommentGroup) []string {
	lines := make([]string, len(comment.List))
	for i, c := range comment.List {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(c.Text, "//"))
	}
	return lines
}
