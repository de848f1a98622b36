package repotest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPackagesImportOnlyWhatTheLayeringAllows(t *testing.T) {
	for _, violation := range violations(loadPackages(t), layers, bans) {
		t.Error(violation)
	}
}

// A check that cannot fail is none, so here is one violation of each kind.
func TestLayeringCheckFindsViolations(t *testing.T) {
	layers := map[string][]string{
		"trat":     {},
		"gen/...":  {"gen/..."},
		"client":   {"trat", "gen/..."},
		"server":   {"trat"},
		"cmd/...":  {"..."},
		"interior": {"helper"},
		"helper":   {},
	}
	bans := []ban{
		{from: []string{"trat/...", "client"}, except: []string{"trat/kit"}, reach: "example.org/sdk/...", because: "no SDK"},
		{from: []string{"..."}, except: []string{"cmd/..."}, reach: module + "cmd/...", because: "no programs"},
	}
	tests := map[string]struct {
		pkg  pkg
		want []string
	}{
		"nothing of ours": {
			pkg: pkg{Path: "trat", Imports: []string{"crypto", "example.org/other"}, Deps: []string{"crypto", "example.org/other"}},
		},
		"a listed import": {
			pkg: pkg{Path: "client", Imports: []string{module + "trat", module + "gen/trat/v1"}},
		},
		"an import that is not listed": {
			pkg:  pkg{Path: "server", Imports: []string{module + "trat", module + "client"}},
			want: []string{"server imports client, which the layering does not allow"},
		},
		"a listed package with a longer path": {
			pkg:  pkg{Path: "server", Imports: []string{module + "trat/inner"}},
			want: []string{"server imports trat/inner, which the layering does not allow"},
		},
		"a package that is not listed": {
			pkg:  pkg{Path: "helpers"},
			want: []string{"helpers is not in the layering: say what it may import"},
		},
		"a banned package reached through others": {
			pkg:  pkg{Path: "client", Deps: []string{"example.org/sdk/trace"}},
			want: []string{"client reaches example.org/sdk/trace: no SDK"},
		},
		"a package that only looks like a banned one": {
			pkg: pkg{Path: "client", Deps: []string{"example.org/sdkless"}},
		},
		"a ban does not hold for its exception": {
			pkg:  pkg{Path: "trat/kit", Deps: []string{"example.org/sdk"}},
			want: []string{"trat/kit is not in the layering: say what it may import"},
		},
		"a program may import its own parts": {
			pkg: pkg{Path: "cmd/tool", Imports: []string{module + "cmd/tool/inner"}, Deps: []string{module + "cmd/tool/inner"}},
		},
		"a test that imports a program": {
			pkg:  pkg{Path: "server", TestImports: []string{module + "cmd/tool"}},
			want: []string{"server reaches cmd/tool: no programs"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := violations([]pkg{tt.pkg}, layers, bans)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// violations lists what packages do against layers and bans, in the packages' order.
func violations(packages []pkg, layers map[string][]string, bans []ban) []string {
	var found []string
	for _, p := range packages {
		found = append(found, unlistedImports(p, layers)...)
		for _, b := range bans {
			found = append(found, b.violations(p)...)
		}
	}
	return found
}

func unlistedImports(p pkg, layers map[string][]string) []string {
	allowed, ok := layerOf(p.Path, layers)
	if !ok {
		return []string{p.Path + " is not in the layering: say what it may import"}
	}
	var found []string
	for _, imported := range p.Imports {
		name, ours := strings.CutPrefix(imported, module)
		if ours && !matchAny(allowed, name) {
			found = append(found, fmt.Sprintf("%s imports %s, which the layering does not allow", p.Path, name))
		}
	}
	return found
}

// layerOf returns what the entry of layers that names path most exactly allows.
func layerOf(path string, layers map[string][]string) (allowed []string, ok bool) {
	if allowed, ok = layers[path]; ok {
		return allowed, true
	}
	longest := ""
	for pattern := range layers {
		if match(pattern, path) && len(pattern) > len(longest) {
			longest = pattern
		}
	}
	return layers[longest], longest != ""
}

func (b ban) violations(p pkg) []string {
	if !matchAny(b.from, p.Path) || matchAny(b.except, p.Path) {
		return nil
	}
	// Tests may use an SDK or the authority, but nobody may import a program or an
	// example, not even a test; go list has no transitive form for a package's tests.
	reached := p.Deps
	if slices.Contains(b.from, "...") {
		reached = slices.Concat(p.Deps, p.TestImports, p.XTestImports)
	}
	var found []string
	for _, path := range reached {
		if match(b.reach, path) {
			found = append(found, fmt.Sprintf("%s reaches %s: %s", p.Path, strings.TrimPrefix(path, module), b.because))
		}
	}
	return found
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, path) })
}

// match reports whether path is pattern, or is at or below dir when pattern is "dir/...".
func match(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == dir || strings.HasPrefix(path, dir+"/")
	}
	return path == pattern
}
