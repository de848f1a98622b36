//go:build !unix

package devauthority

import (
	"errors"
	"io/fs"
)

// ownedByUs refuses: without a Unix owner there is no telling who can change it.
func ownedByUs(fs.FileInfo) error {
	return errors.New("ownership cannot be checked on this system")
}
