package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

const rulesListHelp = `list prints every method of every service in descriptor sets with what it requires,
defaults included, and where that was written: at the method, as a default of its
service, at fields of its request, in the overlay. A method without a rule beside it is
denied, unless code has a rule for it.

Exit status: 0 the rules are good, 3 some are not (each problem is printed), 1 a file
could not be read, 2 wrong use.`

const rulesListExample = `  buf build -o rules.binpb && trat rules list rules.binpb
  trat rules list rules.binpb --overlay overlay.yaml --output json | jq '.services[].methods[].exempt'`

func newRulesList() *cobra.Command {
	var o rulesOptions
	cmd := &cobra.Command{
		Use:     "list FILE...",
		Short:   "Show what the methods of services require",
		Long:    rulesListHelp,
		Example: rulesListExample,
		Args:    files("one FILE or more", 1, math.MaxInt),
		RunE: func(cmd *cobra.Command, args []string) error {
			view, err := o.view(cmd, args)
			if err != nil {
				return err
			}
			err = o.format.show(cmd.OutOrStdout(), view, view.write)
			if len(view.Problems) > 0 {
				return errors.Join(answerNo{errors.New("the rules are not good")}, err)
			}
			return err
		},
	}
	o.add(cmd)
	return cmd
}

// view reads the rules of all files, with all their problems.
func (o *rulesOptions) view(cmd *cobra.Command, names []string) (rulesView, error) {
	overlay, err := o.readOverlay(cmd, names)
	if err != nil {
		return rulesView{}, err
	}
	view := rulesView{Services: []serviceView{}}
	var sets []ruleSet
	var problems []error
	for _, name := range names {
		files, err := readSet(cmd, name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		set := readRules(files, overlay)
		sets = append(sets, set)
		for _, service := range set.services {
			if err := view.add(newServiceView(service, set.methods[service.FullName()])); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", name, err))
			}
		}
		for _, p := range set.problems {
			if !slices.Contains(view.Problems, p) {
				view.Problems = append(view.Problems, p)
			}
		}
	}
	view.Problems = append(view.Problems, checkKeys(overlay, sets...)...)
	slices.SortFunc(view.Services, func(a, b serviceView) int { return strings.Compare(a.Name, b.Name) })
	return view, errors.Join(problems...)
}

// add adds a service, which several files may have if they agree about it.
func (v *rulesView) add(service serviceView) error {
	for _, other := range v.Services {
		if other.Name != service.Name {
			continue
		}
		if !reflect.DeepEqual(other, service) {
			return fmt.Errorf("%s is another than in a file before", service.Name)
		}
		return nil
	}
	v.Services = append(v.Services, service)
	return nil
}

// plain is the style of text for a terminal: everything in one line, as it was written.
var plain = style{code: oneLine, prose: oneLine}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// write prints v for a person.
func (v rulesView) write(w io.Writer) {
	for i, service := range v.Services {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s  (%s)\n", service.Name, service.File)
		for _, method := range service.Methods {
			fmt.Fprintf(w, "  %s  %s\n", method.name(), method.Kind)
			table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, row := range method.rows(plain) {
				fmt.Fprintf(table, "    %s\t%s\n", row.label, row.text)
			}
			_ = table.Flush() // w is memory
		}
	}
	writeRuleProblems(w, v.Problems)
}

func writeRuleProblems(w io.Writer, problems []ruleProblem) {
	for _, p := range problems {
		fmt.Fprintln(w, "PROBLEM", p)
	}
}

// name is that of the method without its service.
func (m methodView) name() string { return m.Method[strings.LastIndexByte(m.Method, '/')+1:] }
