package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

const rulesDocHelp = `doc prints a page in Markdown about the rules of a descriptor set: a section for each
service, and for each method what it requires. What is written before services and
methods in their files is on the page if the set has source information: buf build
includes it, protoc does with --include_source_info. The same set makes the same page,
so that a page that was committed can be compared with what would be made now.

Exit status: 0 done, 1 a file could not be read or its rules are not good, 2 wrong use.`

const rulesDocExample = `  buf build -o rules.binpb && trat rules doc rules.binpb > rules.md
  trat rules doc rules.binpb | diff rules.md -`

func newRulesDoc() *cobra.Command {
	var o rulesOptions
	cmd := &cobra.Command{
		Use:     "doc FILE",
		Short:   "Make a page of the rules of methods",
		Long:    rulesDocHelp,
		Example: rulesDocExample,
		Args:    files("FILE", 1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			view, err := o.view(cmd, args)
			if err != nil {
				return err
			}
			if len(view.Problems) > 0 {
				return fmt.Errorf("%s: %w", args[0], ruleSet{problems: view.Problems}.err())
			}
			return o.format.show(cmd.OutOrStdout(), view, view.page)
		},
	}
	o.add(cmd)
	return cmd
}

const pageHead = `<!-- Made by trat rules doc from the proto files: change the rules there. -->

# What methods require

A method with a rule needs a valid TraT, and all that its table says. A method without one is denied, unless the program has a rule for it.
`

// page prints v in Markdown.
func (v rulesView) page(w io.Writer) {
	fmt.Fprint(w, pageHead)
	for _, service := range v.Services {
		fmt.Fprintf(w, "\n## %s\n\n", service.Name)
		writeParagraphs(w, service.Description)
		fmt.Fprintf(w, "In %s.\n", markdownCode(service.File))
		for _, method := range service.Methods {
			fmt.Fprintf(w, "\n### %s\n\n", method.name())
			writeParagraphs(w, method.Description)
			fmt.Fprintf(w, "%s, %s, takes %s.\n\n", markdownCode(method.Method), method.Kind, markdownCode(method.Request))
			fmt.Fprint(w, "| | |\n|---|---|\n")
			for _, row := range method.rows(markdown) {
				fmt.Fprintf(w, "| %s | %s |\n", row.label, row.text)
			}
		}
	}
}

// writeParagraphs prints a comment; its lines stay lines.
func writeParagraphs(w io.Writer, text string) {
	if text == "" {
		return
	}
	for line := range strings.Lines(text) {
		fmt.Fprintln(w, markdownProse(line))
	}
	fmt.Fprintln(w)
}

// markdown is the style of a table in a page.
var markdown = style{code: markdownCode, prose: func(text string) string { return strings.ReplaceAll(markdownProse(text), "|", `\|`) }}

// markdownCode is text as code that may stand in a table, whatever it consists of.
func markdownCode(text string) string {
	text = strings.ReplaceAll(oneLine(text), "|", `\|`)
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if fence != "`" {
		text = " " + text + " " // one of each is not part of the code
	}
	return fence + text + fence
}

// proseEscapes leave words and `code` alone; tags, links and pictures become text.
var proseEscapes = strings.NewReplacer(`\`, `\\`, "&", "&amp;", "<", "&lt;", "[", `\[`, "]", `\]`)

// markdownProse is a line of a comment. It begins no heading, table, quote or block of
// code: how the page is divided is for the page to say.
func markdownProse(text string) string {
	text = proseEscapes.Replace(oneLine(text))
	if text == "" {
		return ""
	}
	if strings.ContainsRune("#>|=~+", rune(text[0])) || strings.HasPrefix(text, "```") || strings.Trim(text, "-_* ") == "" {
		return `\` + text
	}
	return text
}
