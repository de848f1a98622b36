package main

import "syscall"

// childAttributes keep a terminal's Ctrl-C from the children, which this driver
// stops in order, and have the kernel kill them if the driver itself is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
