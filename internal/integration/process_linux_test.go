//go:build integration

package integration

import "syscall"

// childAttributes give each process a group of its own, which is ended with it, and have
// the kernel kill it when the tests themselves are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
