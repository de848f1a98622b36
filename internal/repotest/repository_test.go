package repotest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository's root directory, seen from this package.
const root = "../.."

// A pkg is what go list says of one package of the module. Path is relative to the module;
// the imports are complete import paths. Deps are the packages that the package's code, not
// its tests, imports directly or through others.
type pkg struct {
	Path, Dir                                string
	Imports, TestImports, XTestImports, Deps []string
}

// loadPackages returns the packages of the module, without the modules nested in it.
func loadPackages(tb testing.TB) []pkg {
	tb.Helper()
	watchTree(tb)
	output := run(tb, "go", "list", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,Deps", "./...")
	var packages []pkg
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var listed struct {
			ImportPath string
			pkg
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			tb.Fatalf("reading what go list printed: %v", err)
		}
		path, ok := strings.CutPrefix(listed.ImportPath, module)
		if !ok {
			tb.Fatalf("go list named %s, which is not below %s", listed.ImportPath, module)
		}
		listed.Path = path
		packages = append(packages, listed.pkg)
	}
	if len(packages) == 0 {
		tb.Fatal("go list named no package")
	}
	return packages
}

// ourFiles returns the tracked files that are written here: without what is generated or
// copied from elsewhere.
func ourFiles(tb testing.TB) []string {
	tb.Helper()
	return trackedFiles(tb, ":!gen", ":!third_party")
}

// trackedFiles returns the paths, relative to the root, of the files that git tracks, without
// those that a pathspec excludes.
func trackedFiles(tb testing.TB, exclude ...string) []string {
	tb.Helper()
	watchTree(tb)
	output := run(tb, "git", append([]string{"ls-files", "-z", "--", "."}, exclude...)...)
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(output), "\x00"), "\x00") {
		// A file that is deleted but not yet committed is still tracked.
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		tb.Fatal("git tracks no file here")
	}
	return files
}

func readFile(tb testing.TB, name string) string {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(content)
}

func run(tb testing.TB, name string, args ...string) []byte {
	tb.Helper()
	var stderr bytes.Buffer
	command := exec.CommandContext(tb.Context(), name, args...)
	command.Dir = root
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		tb.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, &stderr)
	}
	return output
}

// watchTree reads every directory of the repository in this process. The go command caches
// a test's success until something changes that the test itself opened; what go list and
// git opened for it would not count.
func watchTree(tb testing.TB) {
	tb.Helper()
	err := filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // removed while we walk
			return nil
		}
		if err == nil && entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}
