package config

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
)

// MaxSecretSize is the longest file with a secret, in bytes.
const MaxSecretSize = 16 << 10

// Permissions of a file with a secret that are refused: whatever others may do, and that
// its group may change it. That the group may read it is how an orchestrator hands a secret
// to a process that does not own the file.
const loosePermissions = 0o027

// ReadSecret returns what the file at path holds, without line ends after it. It must be
// a regular file that is not empty, not longer than MaxSecretSize and neither accessible to
// others nor writable by its group. Errors name the path, never what is in the file.
func ReadSecret(path string) ([]byte, error) {
	text, err := readRegular(path, MaxSecretSize, loosePermissions)
	if err != nil {
		return nil, err
	}
	if text = bytes.TrimRight(text, "\r\n"); len(text) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// maxCertificates is the longest file with certificates, in bytes: that of a system is
// shorter.
const maxCertificates = 1 << 20

func readCertificates(path string) ([]byte, error) { return readRegular(path, maxCertificates, 0) }

// readRegular reads a regular file of at most limit bytes and with none of the permissions
// in refused.
func readRegular(path string, limit int64, refused fs.FileMode) ([]byte, error) {
	// Before it is opened: to open a named pipe waits.
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&refused != 0:
		return nil, fmt.Errorf("%s has mode %04o: a secret must not be accessible to others or writable by its group (chmod 0600)",
			path, info.Mode().Perm())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return text, nil
}

// secretFile reads the secret that a key names; false if there is none to look at.
func (c *checker) secretFile(field, path string) ([]byte, bool) {
	if c.files.secret == nil {
		return nil, false
	}
	text, err := c.files.secret(path)
	if err != nil {
		c.bad(field, "%v", err)
		return nil, false
	}
	return text, true
}

// secretText reads a secret that travels in a header: one word.
func (c *checker) secretText(field, path string) []byte {
	text, ok := c.secretFile(field, path)
	if !ok {
		return nil
	}
	if slices.ContainsFunc(text, func(b byte) bool { return b <= ' ' || b >= 0x7f }) {
		c.bad(field, "%s holds more than one word of visible ASCII", path)
		return nil
	}
	return text
}

// privateKey reads a key to sign with.
func (c *checker) privateKey(field, path string) crypto.Signer {
	text, ok := c.secretFile(field, path)
	if !ok {
		return nil
	}
	key, err := parsePrivateKey(text)
	if err != nil {
		c.bad(field, "%v", err)
		return nil
	}
	return key
}

// key reads a Key; nil if path is empty.
func (c *checker) key(field, path string) *Key {
	if path == "" {
		return nil
	}
	text, ok := c.secretFile(field, path)
	if !ok {
		return nil
	}
	key, err := parseKey(text)
	if err != nil {
		c.bad(field, "%v", err)
	}
	return key
}

var errNoKey = errors.New("want one private key in PEM: P-256, Ed25519, or RSA of 2048 to 4096 bits")

// parsePrivateKey reads a key that can sign what algorithms of this project sign.
func parsePrivateKey(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errNoKey
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, errNoKey
	}
	if err != nil {
		return nil, errNoKey // what the parser says may quote the key
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return key, nil
		}
	case ed25519.PrivateKey:
		return key, nil
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits >= 2048 && bits <= 4096 {
			return key, nil
		}
	}
	return nil, errNoKey
}

// Key is a secret of 32 bytes for keyed hashes. It does not print.
type Key [32]byte

// ReadKey reads the file of a Key, 64 hexadecimal digits, as ReadSecret does.
func ReadKey(path string) (*Key, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	return parseKey(text)
}

var errKey = errors.New("want 64 hexadecimal digits (openssl rand -hex 32)")

func parseKey(text []byte) (*Key, error) {
	key := new(Key)
	if len(text) != hex.EncodedLen(len(key)) {
		return nil, errKey
	}
	if _, err := hex.Decode(key[:], text); err != nil {
		return nil, errKey
	}
	return key, nil
}

// Bytes returns the key; nil for none.
func (k *Key) Bytes() []byte {
	if k == nil {
		return nil
	}
	return k[:]
}

// String does not return the key.
func (Key) String() string { return "config.Key" }

// Format prints what String returns, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText returns what String returns.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
