package repotest

import (
	"encoding/csv"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	requirement = regexp.MustCompile(`\b(?:TTS|VER|PROP|REPL|SEC|PRIV|AUD|KEY|ERR|STR|RTY)-[0-9]+\b|\bB-T[0-9]+\b`)
	testName    = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9]+\b`)
	testFunc    = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9_]+)\(`)
	makeTarget  = regexp.MustCompile("`make ([a-z-]+)")
	target      = regexp.MustCompile(`(?m)^([a-z-]+):`)
	telemetry   = regexp.MustCompile(`\btxn_(?:token|chain)\.[a-z_.]*[a-z]\b`)
	dependency  = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // direct: without a comment
	codeBlock   = regexp.MustCompile("(?s)\n```(?:go|yaml|proto)\n(.*?)\n```")
)

func TestDocumentsLinkToFilesThatExist(t *testing.T) {
	files := trackedFiles(t)
	for name, text := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			destination, _, _ := strings.Cut(found[1], "#")
			if destination == "" || strings.Contains(destination, "://") {
				continue
			}
			destination = path.Join(path.Dir(name), destination)
			exists := slices.ContainsFunc(files, func(file string) bool {
				return file == destination || strings.HasPrefix(file, destination+"/")
			})
			if !exists {
				t.Errorf("%s links to %s, which is not tracked", name, destination)
			}
		}
	}
}

func TestDocumentsNameRequirementsThatExist(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(readFile(t, "docs/conformance.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool, len(rows))
	for _, row := range rows {
		known[row[0]] = true
	}
	for name, text := range documents(t) {
		for _, id := range requirement.FindAllString(text, -1) {
			if !known[id] {
				t.Errorf("%s names the requirement %s, which docs/conformance.csv does not have", name, id)
			}
		}
	}
}

func TestDocumentsNameTestsThatExist(t *testing.T) {
	known := make(map[string]bool)
	for _, name := range ourFiles(t) {
		if strings.HasSuffix(name, "_test.go") {
			for _, found := range testFunc.FindAllStringSubmatch(readFile(t, name), -1) {
				known[found[1]] = true
			}
		}
	}
	for name, text := range documents(t) {
		for _, test := range testName.FindAllString(text, -1) {
			if !known[test] {
				t.Errorf("%s names the test %s, which does not exist", name, test)
			}
		}
	}
}

func TestDocumentsNameMakeTargetsThatExist(t *testing.T) {
	known := make(map[string]bool)
	for _, found := range target.FindAllStringSubmatch(readFile(t, "Makefile"), -1) {
		known[found[1]] = true
	}
	for name, text := range documents(t) {
		for _, found := range makeTarget.FindAllStringSubmatch(text, -1) {
			if !known[found[1]] {
				t.Errorf("%s names the target %q, which the Makefile does not have", name, found[1])
			}
		}
	}
}

// Names of attributes, instruments and events are an interface: dashboards depend on them.
func TestTelemetryDocumentNamesWhatThereIs(t *testing.T) {
	var named strings.Builder
	for _, name := range ourFiles(t) {
		if path.Dir(name) == "internal/semconv" && !strings.HasSuffix(name, "_test.go") {
			named.WriteString(readFile(t, name))
		}
	}
	want := uniqueSorted(telemetry.FindAllString(named.String(), -1))
	got := uniqueSorted(telemetry.FindAllString(readFile(t, "docs/telemetry.md"), -1))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names in docs/telemetry.md (-want, of internal/semconv +got):\n%s", diff)
	}
}

func TestEveryDirectDependencyHasAReason(t *testing.T) {
	const reasons = "docs/decisions/0003-dependencies.md"
	text := readFile(t, reasons)
	direct := dependency.FindAllStringSubmatch(readFile(t, "go.mod"), -1)
	if len(direct) == 0 {
		t.Fatal("found no direct dependency in go.mod")
	}
	for _, found := range direct {
		if !strings.Contains(text, "`"+found[1]+"`") {
			t.Errorf("%s does not say what %s is for", reasons, found[1])
		}
	}
}

// Go code, proto files and configuration in documents are cut from files that compile, or
// that are loaded by a test, so that a reader who copies them gets something that works.
func TestCodeInDocumentsIsCutFromCheckedFiles(t *testing.T) {
	var sources []string
	for _, name := range ourFiles(t) {
		if slices.Contains([]string{".go", ".yaml", ".proto"}, path.Ext(name)) {
			sources = append(sources, bare(readFile(t, name)))
		}
	}
	for name, text := range documents(t) {
		for _, block := range codeBlock.FindAllStringSubmatch(text, -1) {
			code := bare(block[1])
			if !slices.ContainsFunc(sources, func(source string) bool { return strings.Contains(source, code) }) {
				t.Errorf("no file contains this block of %s:\n%s", name, block[1])
			}
		}
	}
}

// documents returns the text of each tracked Markdown file by its name.
func documents(tb testing.TB) map[string]string {
	tb.Helper()
	texts := make(map[string]string)
	for _, name := range ourFiles(tb) {
		if strings.HasSuffix(name, ".md") {
			texts[name] = readFile(tb, name)
		}
	}
	return texts
}

func uniqueSorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// bare returns text without the white space around its lines and without the markers of
// comments, since package documentation has examples too.
func bare(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "//"))
	}
	return strings.Join(lines, "\n")
}
