package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	someMilestones = "milestone,status,subject\n" +
		"first,closed,the beginning\n" +
		"second,open,the rest\n"
	someRequirements = "id,level,source,statement,milestone\n" +
		"VER-01,MUST,OWN,Verify,first\n" +
		"VER-02,MUST*,OWN,\"Verify, again\",second\n" +
		"B-T1,MUST,OWN,Bind,first\n"
	integrationTag = "//go:build integration && linux\n\n"
	someTests      = "package p\n" +
		"// TestVerify verifies.\n" +
		"//\n" +
		"// Covers VER-01,\n" +
		"// B-T1.\n" +
		"func TestVerify(t *testing.T) {}\n"
)

func TestReportCountsWhatTestsCover(t *testing.T) {
	root := writeFiles(t, map[string]string{
		"docs/milestones.csv":  someMilestones,
		"docs/conformance.csv": someRequirements,
		"p/verify_test.go":     someTests,
		"p/fuzz_test.go": "package p\n" +
			"// Covers VER-01.\n" +
			"// Covers B-T1.\n" +
			"func FuzzVerify(f *testing.F) {}\n",
		"q/programs_test.go": integrationTag + someTests,
	})
	var out strings.Builder
	if err := run(&out, root, true); err != nil {
		t.Fatal(err)
	}
	want := "VER-01   first       p.FuzzVerify, p.TestVerify, q.TestVerify (integration)\n" +
		"VER-02   second      -\n" +
		"B-T1     first       p.FuzzVerify, p.TestVerify, q.TestVerify (integration)\n" +
		"\n" +
		"section     covered  of\n" +
		"VER               1   2\n" +
		"B                 1   1\n" +
		"\n" +
		"milestone   covered  of  status\n" +
		"first             2   2  closed\n" +
		"second            0   1  open\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestRunFailsOnWhatIsWrong(t *testing.T) {
	const p = "package p\n"
	tests := map[string]struct {
		files map[string]string // in place of or beside those that are right
		want  []string          // parts of the error
	}{
		"a closed requirement without a test": {
			files: map[string]string{"p/verify_test.go": p},
			want:  []string{"VER-01 has no test, but its milestone first is closed", "B-T1 has no test"},
		},
		"a closed requirement with an integration test alone": {
			files: map[string]string{"p/verify_test.go": integrationTag + someTests},
			want:  []string{"VER-01 has no test, but its milestone first is closed", "B-T1 has no test"},
		},
		"a build line that is none": {
			files: map[string]string{"p/a_test.go": "//go:build a b\n\n" + p},
			want:  []string{"a_test.go: unexpected token"},
		},
		"an unknown id": {
			files: map[string]string{"p/a_test.go": p + "\n// Covers VER-01, VER-99.\nfunc TestA(t *testing.T) {}\n"},
			want:  []string{"a_test.go:3: no requirement has the id VER-99"},
		},
		"a Covers line above something else": {
			files: map[string]string{"p/a_test.go": p + "// Covers VER-01.\nfunc helper() {}\n"},
			want:  []string{"a_test.go:2: the Covers line is not in the comment of a Test, Fuzz or Example function"},
		},
		"a Covers line above a method": {
			files: map[string]string{"p/a_test.go": p + "// Covers VER-01.\nfunc (s *suite) TestA() {}\n"},
			want:  []string{"the Covers line is not in the comment of"},
		},
		"a Covers line apart from the test": {
			files: map[string]string{"p/a_test.go": p + "// Covers VER-01.\n\nfunc TestA(t *testing.T) {}\n"},
			want:  []string{"the Covers line is not in the comment of"},
		},
		"a Covers line above a function that go test does not run": {
			files: map[string]string{"p/a_test.go": p + "// Covers VER-01.\nfunc Testify(t *testing.T) {}\n"},
			want:  []string{"the Covers line is not in the comment of"},
		},
		"a range of ids": {
			files: map[string]string{"p/a_test.go": p + "// Covers VER-01..02.\nfunc TestA(t *testing.T) {}\n"},
			want:  []string{"a_test.go:2: want the form"},
		},
		"no full stop": {
			files: map[string]string{"p/a_test.go": p + "// Covers VER-01\nfunc TestA(t *testing.T) {}\n"},
			want:  []string{"want the form"},
		},
		"a second Covers line that is wrong": {
			files: map[string]string{"p/a_test.go": p + "// Covers VER-01.\n// Covers more.\nfunc TestA(t *testing.T) {}\n"},
			want:  []string{"a_test.go:3: want the form"},
		},
		"tests that the module's test run leaves out": {
			files: map[string]string{
				"p/verify_test.go":          p,
				"p/testdata/verify_test.go": someTests,
				"other/go.mod":              "module other\n",
				"other/verify_test.go":      someTests,
			},
			want: []string{"VER-01 has no test"},
		},
		"a test file that is no Go": {
			files: map[string]string{"p/a_test.go": "pack age"},
			want:  []string{"a_test.go:1"},
		},
		"an id twice": {
			files: map[string]string{"docs/conformance.csv": someRequirements + "VER-01,MUST,OWN,Verify,first\n"},
			want:  []string{"VER-01 is there twice"},
		},
		"several faults in the requirements": {
			files: map[string]string{"docs/conformance.csv": someRequirements + "ver 3,MUST,OWN,Verify,first\nVER-04,MUST,OWN,Verify,third\n"},
			want:  []string{`"ver 3" is not the id of a requirement`, `VER-04 has the unknown milestone "third"`},
		},
		"a requirement without a source": {
			files: map[string]string{"docs/conformance.csv": someRequirements + "VER-03,MUST,,Verify,first\n"},
			want:  []string{"row 4 has no source"},
		},
		"other columns": {
			files: map[string]string{"docs/conformance.csv": "id,statement\nVER-01,Verify\n"},
			want:  []string{"want the columns id,level,source,statement,milestone"},
		},
		"no requirements": {
			files: map[string]string{"docs/conformance.csv": "id,level,source,statement,milestone\n"},
			want:  []string{"at least one row"},
		},
		"a milestone that is neither open nor closed": {
			files: map[string]string{"docs/milestones.csv": someMilestones + "third,ajar,more\nfirst,open,again\n"},
			want:  []string{`milestone third is "ajar", want open or closed`, "milestone first is there twice"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{
				"docs/milestones.csv":  someMilestones,
				"docs/conformance.csv": someRequirements,
				"p/verify_test.go":     someTests,
			}
			maps.Copy(files, tt.files)
			var out strings.Builder
			err := run(&out, writeFiles(t, files), false)
			if err == nil {
				t.Fatalf("run succeeded:\n%s", &out)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %q, want it to contain %q", err, want)
				}
			}
		})
	}
}

func TestRunFailsWithoutItsFiles(t *testing.T) {
	for _, name := range []string{"docs/milestones.csv", "docs/conformance.csv"} {
		root := writeFiles(t, map[string]string{"docs/milestones.csv": someMilestones, "docs/conformance.csv": someRequirements})
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		if err := run(new(strings.Builder), root, false); !os.IsNotExist(err) {
			t.Errorf("without %s: error is %v, want that it does not exist", name, err)
		}
	}
}

// writeFiles makes a directory of files, given by path and content.
func writeFiles(tb testing.TB, files map[string]string) string {
	tb.Helper()
	root := tb.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return root
}
