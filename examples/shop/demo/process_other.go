//go:build !unix

package main

import "syscall"

// childAttributes are the defaults where there are no process groups.
func childAttributes() *syscall.SysProcAttr { return nil }
