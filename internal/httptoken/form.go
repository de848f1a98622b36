package httptoken

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// What a caller can make this package hold. gRPC takes messages of the same size.
const (
	maxFormBytes      = 64 << 10
	maxFormParameters = 64
)

const formType = "application/x-www-form-urlencoded"

// form are the parameters of one request by name: each once, decoded.
type form map[string]string

// readForm reads the body of a POST as what RFC 6749 section 3.2 and appendix B want, and
// nothing else. Its errors are a *formError.
func readForm(r *http.Request) (form, error) {
	// A query ends in the logs of everything on the way, and would be a second place for
	// parameters.
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, malformed(http.StatusBadRequest, "parameters belong into the body, not into the URL")
	}
	if err := checkFormType(r.Header); err != nil {
		return nil, err
	}
	switch {
	// A length that is told up front leaves no two opinions on where a request ends. A
	// request with a length and chunks is one with chunks to net/http, and ends here too.
	case r.ContentLength < 0:
		return nil, malformed(http.StatusLengthRequired, "the request must say its Content-Length")
	case r.ContentLength > maxFormBytes:
		return nil, malformed(http.StatusRequestEntityTooLarge, "the request is too large")
	}
	body, err := io.ReadAll(r.Body)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, malformed(http.StatusRequestTimeout, "the request did not arrive in time")
	case err != nil:
		return nil, malformed(http.StatusBadRequest, "the request did not arrive as a whole")
	}
	return parseForm(string(body))
}

// checkFormType wants one Content-Type, the form's, in UTF-8.
func checkFormType(header http.Header) error {
	wrong := malformed(http.StatusUnsupportedMediaType, "the body must be "+formType+" in UTF-8")
	types := header.Values("Content-Type")
	if len(types) != 1 {
		return wrong
	}
	mediaType, parameters, err := mime.ParseMediaType(types[0])
	if err != nil || mediaType != formType {
		return wrong
	}
	for name, value := range parameters {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return wrong
		}
	}
	for _, encoding := range header.Values("Content-Encoding") {
		if !strings.EqualFold(encoding, "identity") {
			return wrong
		}
	}
	return nil
}

// parseForm decodes a body. It refuses what two parsers could read in two ways: names that
// come twice (RFC 6749 section 3.2), bad percent-encoding, bytes that had to be encoded,
// the ';' that once separated as well, and text that is no UTF-8. Its errors are a
// *formError.
func parseForm(body string) (form, error) {
	f := make(form)
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		if len(f) == maxFormParameters {
			return nil, malformed(http.StatusBadRequest, "the request has too many parameters")
		}
		encodedName, encodedValue, _ := strings.Cut(pair, "=")
		name, nameOK := decode(encodedName)
		if !nameOK || name == "" {
			return nil, malformed(http.StatusBadRequest, "the body is not well-formed")
		}
		value, ok := decode(encodedValue)
		if !ok {
			return nil, badParameter(name, "a parameter is not well-formed")
		}
		if _, again := f[name]; again {
			return nil, badParameter(name, "a parameter is given more than once")
		}
		f[name] = value
	}
	return f, nil
}

// decode undoes the encoding of a name or value.
func decode(encoded string) (string, bool) {
	for i := range len(encoded) {
		if c := encoded[i]; c <= ' ' || c > '~' || c == ';' {
			return "", false
		}
	}
	text, err := url.QueryUnescape(encoded)
	return text, err == nil && utf8.ValidString(text)
}

// Parameters beyond those of the ExchangeRequest that are not ignored.
const (
	clientID       = "client_id"
	resource       = "resource"
	actorToken     = "actor_token"
	actorTokenType = "actor_token_type"
)

// secrets are the parameters by which clients authenticate elsewhere (RFC 6749 section
// 2.3.1, RFC 7521 section 4.2).
var secrets = []string{"client_secret", "client_assertion", "client_assertion_type"}

// check refuses the parameters of RFC 6749 and RFC 8693 that ask for what is not done here;
// to ignore them would be to answer another question than was asked. Unknown ones are
// ignored (RFC 6749 section 3.2), and so are those without a value.
func (f form) check() error {
	for _, name := range secrets {
		if f[name] != "" {
			return noSecrets()
		}
	}
	if f[resource] != "" {
		return &formError{text: "the audience alone says what a token is for", err: trat.Errorf(trat.ReasonAudienceNotServed, resource, "")}
	}
	for _, name := range []string{actorToken, actorTokenType} {
		if f[name] != "" {
			return badParameter(name, "there is no actor beside the requester")
		}
	}
	return nil
}

// noSecrets: the connection has said who the client is (draft section 11.5), and what says
// it again, with a secret that can be stolen, is refused rather than trusted or ignored.
func noSecrets() error {
	return &formError{
		text: "clients authenticate by their certificate alone",
		err:  trat.Errorf(trat.ReasonClientUnauthenticated, "", "the request has a second way of authentication"),
	}
}

// request is the same request as a gRPC caller would send it. The parameters are the
// fields of the message, whatever those are.
func (f form) request() *tratv1.ExchangeRequest {
	req := &tratv1.ExchangeRequest{}
	message := req.ProtoReflect()
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if value := f[string(field.Name())]; value != "" {
			message.Set(field, protoreflect.ValueOfString(value))
		}
	}
	return req
}

// formError is a request that Exchange never sees.
type formError struct {
	status int    // 0: what err's reason gives
	text   string // constant, for the caller
	err    *trat.Error
}

func (e *formError) Error() string { return e.text + ": " + e.err.Error() }

func (e *formError) Unwrap() error { return e.err }

func malformed(status int, text string) error {
	return &formError{status: status, text: text, err: trat.Errorf(trat.ReasonParameterInvalid, "", "")}
}

// badParameter blames a parameter, by its name if that is one of ours: any other is the
// caller's text and may be anything, a token included.
func badParameter(name, text string) error {
	if !isKnown(name) {
		name = ""
	}
	return &formError{text: text, err: trat.Errorf(trat.ReasonParameterInvalid, name, "")}
}

func isKnown(name string) bool {
	switch name {
	case resource, actorToken, actorTokenType:
		return true
	}
	return (*tratv1.ExchangeRequest)(nil).ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)) != nil
}
