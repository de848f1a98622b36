//go:build unix && !linux

package main

import "syscall"

// childAttributes keep a terminal's Ctrl-C from the children, which this driver
// stops in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
