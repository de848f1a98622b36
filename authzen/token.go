package authzen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxToken is the longest bearer token, in bytes.
const maxToken = 8 << 10

// BearerTokenFile returns a Config.BearerToken that reads the file at path for each
// evaluation, so that a token that was rotated is used at once. Space around the token,
// such as a last newline, is not part of it. Its errors hold nothing of the content.
func BearerTokenFile(path string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		file, err := os.Open(path) //nolint:gosec // the path is configuration
		if err != nil {
			return "", err
		}
		defer file.Close()
		text, err := io.ReadAll(io.LimitReader(file, maxToken+1))
		switch {
		case err != nil:
			return "", err
		case len(text) > maxToken:
			return "", fmt.Errorf("%s: longer than %d bytes", path, maxToken)
		default:
			return strings.TrimSpace(string(text)), nil
		}
	}
}

// checkToken holds a token to the syntax b64token (RFC 6750 section 2.1), so that what is
// read from a file cannot become another header.
func checkToken(token string) error {
	if token == "" {
		return errors.New("the bearer token is empty")
	}
	if len(token) > maxToken {
		return fmt.Errorf("the bearer token is longer than %d bytes", maxToken)
	}
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	body := strings.TrimRight(token, "=")
	if body == "" || strings.Trim(body, characters) != "" {
		return errors.New("the bearer token has characters that none may have (RFC 6750)")
	}
	return nil
}
