package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"
)

// output is the flag --output: text for a person, json for a program.
type output string

const (
	outputText output = "text"
	outputJSON output = "json"
)

var errOutput = errors.New("want text or json")

// String returns the name of the format.
func (o *output) String() string { return string(*o) }

// Set takes a format by its name.
func (o *output) Set(name string) error {
	if output(name) != outputText && output(name) != outputJSON {
		return errOutput
	}
	*o = output(name)
	return nil
}

// Type is what help calls the value.
func (o *output) Type() string { return "format" }

// addOutput adds the flag to a command.
func addOutput(cmd *cobra.Command, o *output) {
	*o = outputText
	cmd.Flags().VarP(o, "output", "o", "text or json")
	complete(cmd, "output", string(outputText), string(outputJSON))
}

// complete makes a shell offer these values for a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// It fails only for a flag that is not there or has been completed: a mistake here.
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// show writes v as one JSON document, or text as it is.
func (o output) show(w io.Writer, v any, text func(io.Writer)) error {
	if o != outputJSON {
		var b strings.Builder
		text(&b)
		_, err := io.WriteString(w, printable(b.String()))
		return err
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, printable(b.String())) // JSON escapes some of it only
	return err
}

// printable escapes what could move a terminal's cursor: some of what is printed was
// written by a stranger. What it makes of JSON is the same JSON.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
