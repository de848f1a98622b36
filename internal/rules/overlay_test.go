package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOverlayReadsEveryField(t *testing.T) {
	got, err := ParseOverlay([]byte(`
version: 1
rules:
  /pkg.Svc/*: {}
  "/pkg.Svc/Get":
    scopes: [a, b]
    anyScopes: [c]
    tctx: [m.n]
    callers: [/gateway, "spiffe://td/ns/*/x"]
    chain:
      mode: CHAIN_MODE_PATH
      through: [/t]
      not_through: [/n]
      max_links: 3
      strict_trace: true
    replay: REPLAY_ONCE
    stream: {expiry: STREAM_EXPIRY_GRACE, grace: 1.5s, maxAge: 60s, drain: "2s"}
    enforcement: ENFORCEMENT_STRICT
    when:
      - |
        size(sub) > 1
    bindings:
      - {field: a.b, bind: {tctx: m, relation: this > bound, optional: true}}
    access_evaluation: {resource_type: t, resource_id: sub}
  /pkg.Other/List: {access_evaluation: {}}
`))
	if err != nil {
		t.Fatal(err)
	}
	source := func(key string) []Source { return []Source{{Kind: FromOverlay, Where: key}} }
	want := Overlay{
		"/pkg.Svc/*": {Sources: source("/pkg.Svc/*")},
		"/pkg.Svc/Get": {
			Scopes: []string{"a", "b"}, AnyScopes: [][]string{{"c"}}, Tctx: []string{"m.n"}, Callers: [][]string{{"/gateway", "spiffe://td/ns/*/x"}},
			Chain:  Chain{Mode: ChainPath, Through: []string{"/t"}, NotThrough: []string{"/n"}, MaxLinks: 3, StrictTrace: true},
			Replay: ReplayOnce, Enforcement: Strict,
			Stream: Stream{Expiry: ExpiryGrace, Grace: 1500 * time.Millisecond, MaxAge: time.Minute, Drain: 2 * time.Second},
			When:   []string{"size(sub) > 1\n"}, Bindings: []Binding{{Field: "a.b", Tctx: "m", Relation: "this > bound", Optional: true}},
			Evaluation: &Evaluation{ResourceType: "t", ResourceID: "sub"}, Sources: source("/pkg.Svc/Get"),
		},
		"/pkg.Other/List": {Evaluation: &Evaluation{}, Sources: source("/pkg.Other/List")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestProblemsOfAnOverlayHaveTheirLines(t *testing.T) {
	const head = "version: 1\nrules:\n  /pkg.Svc/Get:\n" // so that rules begin in line 4
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"empty":                {"", []string{"overlay: the file is empty"}},
		"too large":            {strings.Repeat("#", MaxOverlaySize+1), []string{"overlay: the file is larger than 1048576 bytes"}},
		"no YAML":              {"a: [", []string{"overlay: line 1: "}},
		"a list":               {"[]", []string{"overlay: line 1: want a mapping, not a list"}},
		"no version":           {"rules: {}", []string{"overlay: line 1: version: is missing"}},
		"another version":      {"version: 2\nrules: {}", []string{"overlay: line 1: version: want 1"}},
		"no rules":             {"version: 1", []string{"overlay: line 1: rules: is missing"}},
		"an unknown key":       {"version: 1\nrules: {}\nmethods: {}", []string{"overlay: line 3: methods: unknown key"}},
		"two documents":        {"version: 1\nrules: {}\n---\n", []string{"overlay: more than one document"}},
		"an alias":             {"version: 1\nrules: {/a.B/C: &x {}, /a.B/D: *x}", []string{"overlay: line 2: anchors, aliases"}},
		"a key twice":          {"version: 1\nrules:\n  /a.B/C: {}\n  /a.B/C: {}", []string{`overlay: line 4: rules: duplicate key "/a.B/C", first in line 3`}},
		"keys":                 {"version: 1\nrules:\n  a.B/C: {}\n  /a.B: {}\n  /a.B/**: {}\n  /*/C: {}\n  /a..B/C: {}", []string{"line 3: a.B/C: want \"/pkg", "line 4: /a.B: want", "line 5: /a.B/**: want", "line 6: /*/C: want", "line 7: /a..B/C: want"}},
		"nothing":              {head, []string{"overlay: line 3: /pkg.Svc/Get: want a mapping, not nothing"}},
		"a misspelt field":     {head + "    scope: [a]\n    chain: {mod: x}", []string{"overlay: line 4: /pkg.Svc/Get: scope: unknown key", "line 5: /pkg.Svc/Get: chain.mod: unknown key"}},
		"two names of a field": {head + "    any_scopes: [a]\n    anyScopes: [b]", []string{"line 5: /pkg.Svc/Get: any_scopes: is there twice"}},
		"types": {
			head + "    scopes: a\n    tctx: [1]\n    chain: []\n    replay: 2\n    when: []\n    stream: {grace: 1, max_age: 1m, drain: \"\"}\n    callers: [{}]\n    bindings: [a]",
			[]string{
				"line 4: /pkg.Svc/Get: scopes: want a list, not text", "line 5: /pkg.Svc/Get: tctx[0]: want text, not a number",
				"line 6: /pkg.Svc/Get: chain: want a mapping, not a list", "line 7: /pkg.Svc/Get: replay: want text, not a number",
				"line 8: /pkg.Svc/Get: when: the list is empty", "line 9: /pkg.Svc/Get: stream.grace: want text", `line 9: /pkg.Svc/Get: stream.max_age: want seconds, such as "90s"`,
				"stream.drain: is empty", "line 10: /pkg.Svc/Get: callers[0]: want text, not a mapping", "line 11: /pkg.Svc/Get: bindings[0]: want a mapping, not text",
			},
		},
		"values": {
			head + "    scopes:\n      - ok\n      - a b\n    chain:\n      mode: PATH\n      max_links: 9\n      strict_trace: false\n    replay: REPLAY_UNSPECIFIED\n" +
				"    stream:\n      drain: -1s\n      grace: 1s\n    bindings:\n      - field: ok\n        bind: {tctx: .}\n    tctx:\n    - a\n    - a",
			[]string{
				`line 6: /pkg.Svc/Get: scopes[1]: "a b": is not one scope token`, "line 8: /pkg.Svc/Get: chain.mode: want the name of a value of trat.v1.ChainMode",
				"line 9: /pkg.Svc/Get: chain.max_links: 9 is not 1 to 6", "line 10: /pkg.Svc/Get: chain.strict_trace: false demands nothing",
				"line 11: /pkg.Svc/Get: replay: want the name", "line 13: /pkg.Svc/Get: stream.drain: want more than 0s",
				"line 14: /pkg.Svc/Get: stream.grace: is for STREAM_EXPIRY_GRACE only", `line 16: /pkg.Svc/Get: bindings[0]: field "ok": tctx ".": want names`,
				`line 20: /pkg.Svc/Get: tctx[1]: "a" is there twice`,
			},
		},
		"paths from tctx on": {
			head + "    tctx: [tctx.a]\n    bindings:\n      - field: ok\n        bind: {tctx: tctx.b}",
			[]string{`line 4: /pkg.Svc/Get: tctx[0]: "tctx.a": paths begin below tctx`, `line 6: /pkg.Svc/Get: bindings[0]: field "ok": tctx "tctx.b": paths begin below tctx`},
		},
		"no strict trace":    {head + "    chain: {strict_trace: False}", []string{"line 4: /pkg.Svc/Get: chain.strict_trace: false demands nothing"}},
		"no links":           {head + "    chain: {max_links: 0}", []string{"chain.max_links: want a whole number of at least 1"}},
		"a half link":        {head + "    chain: {max_links: 1.5}", []string{"chain.max_links: want a whole number of at least 1"}},
		"links by name":      {head + "    chain: {max_links: many}", []string{"chain.max_links: want a number, not text"}},
		"links beyond bound": {head + "    chain: {max_links: 4294967297}", []string{"chain.max_links: want a whole number of at least 1"}},
		"a missing grace":    {head + "    stream: {expiry: STREAM_EXPIRY_GRACE}", []string{"line 4: /pkg.Svc/Get: stream.grace: is missing"}},
		"an exemption":       {head + "    exempt: {reason: none}", []string{"line 4: /pkg.Svc/Get: exempt: an overlay can only demand more"}},
		"two rules": {
			"version: 1\nrules:\n  /a.B/C: {scopes: [' ']}\n  /a.B/D: {scopes: [' ']}",
			[]string{"line 3: /a.B/C: scopes[0]", "line 4: /a.B/D: scopes[0]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			overlay, err := ParseOverlay([]byte(tt.text))
			if err == nil || overlay != nil {
				t.Fatalf("no error, but %+v", overlay)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines != len(tt.want) {
				t.Errorf("%d problems, want %d:\n%v", lines, len(tt.want), err)
			}
		})
	}
}

func FuzzParseOverlay(f *testing.F) {
	for _, seed := range []string{
		"version: 1\nrules: {}", "version: 1\nrules:\n  /a.B/*:\n    scopes: [a]\n    stream: {grace: 1s, expiry: STREAM_EXPIRY_GRACE}\n    chain: {max_links: 3}",
		"version: 1\nrules: {/a.B/C: {bindings: [{field: a, bind: {tctx: b, optional: true}}], exempt: {}}}", "version: 1\nrules: [", "a: &a [*a]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		overlay, err := ParseOverlay(text)
		if err != nil {
			if overlay != nil {
				t.Errorf("an overlay beside the error %v", err)
			}
			return
		}
		for key, rule := range overlay {
			if p := rule.problems(); len(p) > 0 || rule.Exempt != "" {
				t.Errorf("%s: %+v has problems: %v", key, rule, p)
			}
			// It can be added to any method without a rule of its own to be looser than.
			if _, err := Tighten(Rule{Exempt: "x"}, rule, unary); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		again, err := ParseOverlay(text)
		if diff := cmp.Diff(fmt.Sprint(overlay), fmt.Sprint(again)); diff != "" || err != nil {
			t.Errorf("read twice: %v, %s", err, diff)
		}
	})
}
