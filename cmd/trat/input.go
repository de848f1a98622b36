package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/trat"
)

// stdinName is the name of standard input, where a file is expected.
const stdinName = "-"

// readInput reads the file of the given name, or standard input, up to limit bytes.
func readInput(cmd *cobra.Command, name string, limit int64) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != stdinName {
		if looksLikeToken(name) {
			return nil, errTokenAsArgument
		}
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // read only
		in = file
	} else {
		name = "standard input"
	}
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s is longer than %d bytes", name, limit)
	case len(text) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return text, nil
}

// maxTokenInput is the longest text that is read as a token: that of the longest subject
// token, and of the longest receipt of a call chain, that a token service looks at.
const maxTokenInput = 16 << 10

// readToken is readInput for a token, which ends with its line.
func readToken(cmd *cobra.Command, name string) (string, error) {
	text, err := readInput(cmd, name, maxTokenInput+2)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// errTokenAsArgument comes instead of a message that would quote it: the command line is
// shown to every user of the machine, and this message to whoever reads the log.
var errTokenAsArgument = usageError{errors.New("a token was given as an argument, which everybody on this machine can see: " +
	"give the name of a file, or - for standard input, and have this token revoked if it is of value")}

// looksLikeToken says that an argument is a JWT in the wrong place.
func looksLikeToken(argument string) bool {
	return strings.HasPrefix(argument, "eyJ") && strings.Count(argument, ".") >= 2
}

// readObject reads the value of a flag that is a JSON object, or @ and the name of a file
// that holds one.
func readObject(cmd *cobra.Command, value string) (trat.Object, error) {
	if value == "" {
		return trat.Object{}, nil
	}
	if name, ok := strings.CutPrefix(value, "@"); ok {
		text, err := readInput(cmd, name, trat.MaxObjectSize)
		if err != nil {
			return trat.Object{}, err
		}
		value = string(text)
	}
	return trat.ParseObject(value)
}

// oneFile is for commands that read one file, by default standard input.
func oneFile(cmd *cobra.Command, args []string) error {
	if slices.ContainsFunc(args, looksLikeToken) {
		return errTokenAsArgument
	}
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s takes one file (see %s --help)", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

// fileOf is the argument of a command with oneFile.
func fileOf(args []string) string {
	if len(args) == 0 {
		return stdinName
	}
	return args[0]
}
