package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// tokenView is what can be said about a token's text without any key.
type tokenView struct {
	Fingerprint string          `json:"fingerprint"`
	Size        int             `json:"size"`
	Header      json.RawMessage `json:"header,omitempty"`
	Claims      json.RawMessage `json:"claims,omitempty"`
	// Times of the claims, where they are numbers, and how far they are from now: an age
	// below zero is in the future, as is a token that ends in more than zero seconds.
	IssuedAt  *time.Time `json:"issued_at,omitempty"`
	Age       *int64     `json:"age_seconds,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	ExpiresIn *int64     `json:"expires_in_seconds,omitempty"`
}

// viewToken reads raw as far as it can be read.
func viewToken(raw string, now time.Time) tokenView {
	digest := sha256.Sum256([]byte(raw))
	view := tokenView{
		Fingerprint: base64.RawURLEncoding.EncodeToString(digest[:]),
		Size:        len(raw),
	}
	segments := strings.SplitN(raw, ".", 4)
	if len(segments) != 3 {
		return view
	}
	view.Header, view.Claims = decodeSegment(segments[0]), decodeSegment(segments[1])
	var times struct {
		IssuedAt json.Number `json:"iat"`
		Expiry   json.Number `json:"exp"`
	}
	if json.Unmarshal(view.Claims, &times) != nil {
		return view
	}
	if at, err := times.IssuedAt.Int64(); err == nil {
		t := time.Unix(at, 0).UTC()
		age := now.Unix() - at
		view.IssuedAt, view.Age = &t, &age
	}
	if at, err := times.Expiry.Int64(); err == nil {
		t := time.Unix(at, 0).UTC()
		left := at - now.Unix()
		view.ExpiresAt, view.ExpiresIn = &t, &left
	}
	return view
}

// decodeSegment returns the JSON object in a part of a JWT, nil if there is none.
func decodeSegment(segment string) json.RawMessage {
	text, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil || !json.Valid(text) || !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return nil
	}
	return text
}

// write prints v for a person.
func (v tokenView) write(w io.Writer) {
	fmt.Fprintf(w, "fingerprint  %s\nsize         %d bytes\n", v.Fingerprint, v.Size)
	if v.IssuedAt != nil {
		fmt.Fprintf(w, "issued       %s, %s\n", v.IssuedAt.Format(time.RFC3339), distance(-*v.Age))
	}
	if v.ExpiresAt != nil {
		fmt.Fprintf(w, "expires      %s, %s\n", v.ExpiresAt.Format(time.RFC3339), distance(*v.ExpiresIn))
	}
	for _, part := range []struct {
		name string
		text json.RawMessage
	}{{"header", v.Header}, {"claims", v.Claims}} {
		var b bytes.Buffer
		if json.Indent(&b, part.text, "", "  ") != nil {
			fmt.Fprintf(w, "%s       cannot be read\n", part.name)
			continue
		}
		fmt.Fprintf(w, "%s\n%s\n", part.name, b.String())
	}
}

// distance says how far from now something is.
func distance(seconds int64) string {
	switch {
	case seconds < 0:
		return fmt.Sprintf("%s ago", time.Duration(-seconds)*time.Second)
	case seconds == 0:
		return "now"
	default:
		return fmt.Sprintf("in %s", time.Duration(seconds)*time.Second)
	}
}
