package authzen

import (
	"errors"
	"fmt"

	"github.com/grpc-trat/grpc-trat/internal/token68"
)

// maxToken is the longest bearer token, in bytes.
const maxToken = 8 << 10

// checkToken holds a token to the syntax b64token (RFC 6750 section 2.1), so that what is
// read from a file cannot become another header.
func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("the bearer token is empty")
	case len(token) > maxToken:
		return fmt.Errorf("the bearer token is longer than %d bytes", maxToken)
	case !token68.Is(token):
		return errors.New("the bearer token has characters that none may have (RFC 6750)")
	}
	return nil
}
