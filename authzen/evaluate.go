package authzen

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"unicode/utf8"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
)

// Evaluate asks the PDP (section 6) and returns its decision. An error is an *Error and
// means that there is none; the bool is then false.
func (c *Client) Evaluate(ctx context.Context, r Request) (bool, error) {
	body, err := r.marshal()
	if err != nil {
		return false, &Error{Kind: KindRequest, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	authorization := ""
	if c.token != nil {
		token, err := c.token(ctx)
		if err == nil {
			err = checkToken(token)
		}
		if err != nil {
			return false, &Error{Kind: KindCredential, Err: err}
		}
		authorization = "Bearer " + token
	}
	id := newRequestID()
	decision, failure := c.ask(ctx, body, authorization, id)
	if failure != nil {
		failure.RequestID = id
		c.logger.LogAttrs(ctx, slog.LevelDebug, "no access decision", slog.String("request_id", id), slog.Any("error", failure))
		return false, failure
	}
	c.logger.LogAttrs(ctx, slog.LevelDebug, "access decision", slog.String("request_id", id), slog.Bool("decision", decision))
	return decision, nil
}

// ask makes one exchange with the PDP.
func (c *Client) ask(ctx context.Context, body []byte, authorization, id string) (bool, *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return false, &Error{Kind: KindRequest, Err: errors.New("cannot be made")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Request-Id", id)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	// A question may be asked twice: present and empty, this header is not sent and lets
	// the transport try again when a kept connection turns out to be closed.
	req.Header["Idempotency-Key"] = []string{}
	answer, err := c.http.Do(req, outbound.Expect{MaxBody: c.maxResponse, Type: outbound.IsJSON})
	if err != nil {
		return false, noAnswer(err)
	}
	decision, err := parseResponse(answer)
	if err != nil {
		return false, &Error{Kind: KindAnswer, Err: err}
	}
	return decision, nil
}

// noAnswer says which kind of error one of an exchange is here.
func noAnswer(err error) *Error {
	e := &Error{Kind: KindUnreachable, Err: err}
	if failed, ok := errors.AsType[*outbound.Error](err); ok {
		switch e.Status = failed.Status; failed.Kind {
		case outbound.KindStatus:
			e.Kind = KindStatus
		case outbound.KindType, outbound.KindTooLong:
			e.Kind = KindAnswer
		case outbound.KindUnreachable:
		}
	}
	return e
}

func newRequestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: it ends the process instead
	return hex.EncodeToString(id[:])
}

// parseResponse returns the decision of an access evaluation response (section 6.2). Members
// that are not known are ignored, one that is there twice is not: two readers could take
// two decisions from it.
func parseResponse(answer []byte) (bool, error) {
	notResponse := errors.New("not one JSON object in UTF-8")
	if !utf8.Valid(answer) {
		return false, notResponse
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return false, notResponse
	}
	var decision string
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return false, notResponse
		}
		if seen[name] {
			return false, errors.New("a member is there twice")
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return false, notResponse
		}
		if name == "decision" {
			decision = string(value)
		}
	}
	if _, err := d.Token(); err != nil {
		return false, notResponse
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return false, errors.New("something follows the JSON object")
	}
	switch {
	case decision == "true":
		return true, nil
	case decision == "false":
		return false, nil
	case seen["decision"]:
		return false, errors.New(`"decision" is not a boolean`)
	default:
		return false, errors.New(`no "decision"`)
	}
}
