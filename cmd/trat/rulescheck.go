package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

const rulesCheckHelp = `check compares the rules of two descriptor sets and finds everything that NEW demands
less of than OLD: a scope, a bound field, a caller more, a mode that is less strict, an
exemption. A new method is something looser only if it is exempt; one that is gone never
is. A service or method with another name is a new one. What came and went is printed
too, because nobody has compared it.

Exit status: 0 nothing is looser, 3 something is, or rules of NEW are not good; 1 a file
could not be read, or rules of OLD are not good; 2 wrong use.`

const rulesCheckExample = `  buf build '.git#branch=main' -o old.binpb && buf build -o new.binpb
  trat rules check old.binpb new.binpb
  trat rules check old.binpb new.binpb --output json | jq -r '.loosenings[].method'`

// comparison is the result of `trat rules check`.
type comparison struct {
	Good       bool            `json:"good"`
	Compared   int             `json:"compared"`
	Loosenings []looseningView `json:"loosenings,omitempty"`
	Problems   []ruleProblem   `json:"problems,omitempty"`
	Added      []addedView     `json:"added,omitempty"`
	Removed    []string        `json:"removed,omitempty"`
}

type looseningView struct {
	Method string `json:"method"`
	Field  string `json:"field"`
	Text   string `json:"text"`
}

type addedView struct {
	Method   string `json:"method"`
	Declared bool   `json:"declared"`
	Exempt   string `json:"exempt,omitempty"`
}

func newRulesCheck() *cobra.Command {
	var o rulesOptions
	cmd := &cobra.Command{
		Use:     "check OLD NEW",
		Short:   "Find what became looser in the rules of methods",
		Long:    rulesCheckHelp,
		Example: rulesCheckExample,
		Args:    files("OLD and NEW", 2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := o.compare(cmd, args)
			if err != nil {
				return err
			}
			err = o.format.show(cmd.OutOrStdout(), result, result.write)
			if !result.Good {
				return errors.Join(answerNo{result.verdict()}, err)
			}
			return err
		},
	}
	o.add(cmd)
	return cmd
}

// compare reads both files; the overlay is for the newer one.
func (o *rulesOptions) compare(cmd *cobra.Command, names []string) (comparison, error) {
	overlay, err := o.readOverlay(cmd, names)
	if err != nil {
		return comparison{}, err
	}
	older, errOld := readSet(cmd, names[0])
	newer, errNew := readSet(cmd, names[1])
	if err := errors.Join(errOld, errNew); err != nil {
		return comparison{}, err
	}
	before := readRules(older, nil)
	if err := before.err(); err != nil {
		return comparison{}, fmt.Errorf("%s: %w", names[0], err)
	}
	after := readRules(newer, overlay)
	result := newComparison(before.all(), after.all())
	result.Problems = slices.Concat(after.problems, checkKeys(overlay, after))
	result.Good = len(result.Loosenings)+len(result.Problems) == 0
	return result, nil
}

func newComparison(before, after []ruledMethod) comparison {
	var result comparison
	old := make(map[string]ruledMethod, len(before))
	for _, m := range before {
		old[m.name] = m
	}
	still := make(map[string]bool, len(after))
	for _, m := range after {
		still[m.name] = true
		o, there := old[m.name]
		var found []rules.Loosening
		switch {
		case !there:
			result.Added = append(result.Added, addedView{Method: m.name, Declared: m.declared, Exempt: m.rule.Exempt})
			if m.exempt() {
				found = []rules.Loosening{{FullMethod: m.name, Field: "exempt", Text: "is new and needs no TraT"}}
			}
		case !m.bad: // else it is a problem, whatever it is compared with
			result.Compared++
			found = append(loosened(o, m), retyped(o, m)...)
		}
		for _, l := range found {
			result.Loosenings = append(result.Loosenings, looseningView{Method: l.FullMethod, Field: l.Field, Text: l.Text})
		}
	}
	for _, m := range before {
		if !still[m.name] {
			result.Removed = append(result.Removed, m.name)
		}
	}
	return result
}

// loosened compares a method with what it was. One without a rule beside it is denied, or
// code says what it requires, which nobody knows here: but code's defaults are no longer
// those when the proto file says something less strict.
func loosened(older, newer ruledMethod) []rules.Loosening {
	switch {
	case older.exempt():
		return nil
	case !older.declared && newer.exempt():
		return []rules.Loosening{{FullMethod: newer.name, Field: "exempt", Text: "had no rule, and needs no TraT now"}}
	case !older.declared:
		return rules.Loosened(newer.name, older.effective(), newer.effective())
	case !newer.declared:
		gone := rules.Loosening{FullMethod: newer.name, Field: "rule", Text: "no longer has a rule: it is denied, or only code says what it requires"}
		return append([]rules.Loosening{gone}, rules.Loosened(newer.name, older.rule, newer.effective())...)
	default:
		return rules.Loosened(newer.name, older.rule, newer.rule)
	}
}

// verdict says why the answer is no.
func (c comparison) verdict() error {
	return fmt.Errorf("the newer rules are not good enough: %s, %s", counted(len(c.Loosenings), "loosening"), counted(len(c.Problems), "problem"))
}

// counted is a number of things that are called one.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// write prints c for a person.
func (c comparison) write(w io.Writer) {
	for _, l := range c.Loosenings {
		fmt.Fprintf(w, "LOOSER %s: %s: %s\n", l.Method, l.Field, l.Text)
	}
	writeRuleProblems(w, c.Problems)
	for _, m := range c.Added {
		switch {
		case m.Exempt != "":
			fmt.Fprintf(w, "new    %s, exempt: %s\n", m.Method, oneLine(m.Exempt))
		case !m.Declared:
			fmt.Fprintf(w, "new    %s, no rule: %s\n", m.Method, withoutRule(m.Method))
		default:
			fmt.Fprintf(w, "new    %s\n", m.Method)
		}
	}
	for _, name := range c.Removed {
		fmt.Fprintf(w, "gone   %s\n", name)
	}
	if c.Good {
		fmt.Fprintf(w, "good: nothing is looser, %s compared\n", counted(c.Compared, "method"))
	}
}
