//go:build unix

package devauthority

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs refuses what another user could change under us.
func ownedByUs(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return errors.New("not owned by this user")
	}
	return nil
}
