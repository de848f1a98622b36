package authzen

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"unicode/utf8"
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
	resp, err := c.http.Do(req)
	if err != nil {
		return false, &Error{Kind: KindUnreachable, Err: causeOf(ctx, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// A bounded rest is read, so that the connection can be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, c.maxResponse)
		return false, &Error{Kind: KindStatus, Status: resp.StatusCode, Err: fmt.Errorf("status %d", resp.StatusCode)}
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return false, &Error{Kind: KindAnswer, Err: errors.New("not JSON by its Content-Type")}
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, c.maxResponse+1))
	if err != nil {
		return false, &Error{Kind: KindUnreachable, Err: causeOf(ctx, err)}
	}
	if int64(len(answer)) > c.maxResponse {
		return false, &Error{Kind: KindAnswer, Err: fmt.Errorf("longer than %d bytes", c.maxResponse)}
	}
	decision, err := parseResponse(answer)
	if err != nil {
		return false, &Error{Kind: KindAnswer, Err: err}
	}
	return decision, nil
}

// causeOf returns err if it is of a kind that quotes nothing of the answer, as the HTTP
// parser's errors do.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return e
	}
	return errors.New("the connection failed, or what came was not HTTP")
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
