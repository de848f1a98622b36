package httptoken_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/reflect/protoreflect"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// client is an OAuth client: plain HTTP over connections that workload id makes.
func (f *fixture) client(t testing.TB, address string, id spiffeid.ID) *http.Client {
	t.Helper()
	creds := f.ClientCredentials(t, id, spiffecreds.WithHTTP1())
	transport := &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			conn, _, err := creds.ClientHandshake(ctx, address, raw)
			return conn, err
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// dialRaw is a connection of workload id, to write bytes to.
func (f *fixture) dialRaw(t testing.TB, address string, id spiffeid.ID) net.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := f.ClientCredentials(t, id, spiffecreds.WithHTTP1()).ClientHandshake(t.Context(), address, raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// reply is an answer of any endpoint.
type reply struct {
	status int
	header http.Header
	text   string
	body   struct {
		AccessToken     string      `json:"access_token"`
		IssuedTokenType string      `json:"issued_token_type"`
		TokenType       string      `json:"token_type"`
		ExpiresIn       int64       `json:"expires_in"`
		Scope           string      `json:"scope"`
		Error           string      `json:"error"`
		Description     string      `json:"error_description"`
		Reason          trat.Reason `json:"reason"`
		Parameters      []violation `json:"parameters"`
	}
}

type violation struct{ Name, Reason string }

// fields returns what the answer says about parameters.
func (r reply) fields() map[string]string {
	m := make(map[string]string)
	for _, p := range r.body.Parameters {
		m[p.Name] = p.Reason
	}
	return m
}

func read(t testing.TB, response *http.Response) (r reply) {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.status, r.header, r.text = response.StatusCode, response.Header, string(text)
	if len(text) > 0 {
		if err := json.Unmarshal(text, &r.body); err != nil {
			t.Errorf("the answer is no JSON: %v\n%s", err, text)
		}
	}
	return r
}

func do(t testing.TB, c *http.Client, request *http.Request) reply {
	t.Helper()
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func newRequest(t testing.TB, method, path, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, issuer+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// post sends a form.
func post(t testing.TB, c *http.Client, body string) reply {
	t.Helper()
	request := newRequest(t, http.MethodPost, "/token", body)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, c, request)
}

func get(t testing.TB, c *http.Client, path string) reply {
	t.Helper()
	return do(t, c, newRequest(t, http.MethodGet, path, ""))
}

// encode makes a form of the message: the fields are the parameters.
func encode(request *tratv1.ExchangeRequest) string {
	values := make(url.Values)
	request.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		values.Set(string(field.Name()), value.String())
		return true
	})
	return values.Encode()
}
