package main

import (
	"errors"
	"fmt"
	"io"
)

// Exit statuses, the same for every command.
const (
	exitDone   = 0 // it is done, or the answer is yes
	exitFailed = 1 // it could not be done: there is no answer
	exitUse    = 2 // the command line is wrong
	exitNo     = 3 // the answer is no
)

// usageError is a command line that cannot be carried out as written.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// answerNo ends a command whose question was answered with no. What there is to say about
// it is on standard output already.
type answerNo struct{ error }

func (e answerNo) Unwrap() error { return e.error }

// exitStatus tells stderr what err says, and returns the status it stands for.
func exitStatus(err error, stderr io.Writer) int {
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, printable("trat: "+err.Error())) // it may quote a server or a file
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUse
	}
	if _, ok := errors.AsType[answerNo](err); ok {
		return exitNo
	}
	return exitFailed
}
