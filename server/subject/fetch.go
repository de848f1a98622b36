package subject

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// fetchTimeout bounds one attempt to get an issuer's keys, all requests and
	// bodies together.
	fetchTimeout = 5 * time.Second
	// maxDocument is the largest metadata document or key set, in bytes, after
	// decompression.
	maxDocument = 256 << 10
	// maxResponseHeader is the largest response header, in bytes.
	maxResponseHeader = 64 << 10
)

// fetcher gets documents from issuers, and nothing but what it is pointed at: it
// follows no redirect and keeps no cookie.
type fetcher struct {
	client *http.Client
}

func newFetcher(transport http.RoundTripper) fetcher {
	return fetcher{client: &http.Client{
		Transport: transport,
		Timeout:   fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    fetchTimeout,
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConnsPerHost:    maxQuestions, // and no bound: what waits here looks like a slow issuer
		IdleConnTimeout:        30 * time.Second,
	}
}

// get returns the JSON document at url. Its errors hold nothing of the answer but
// the status code.
func (f fetcher) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	return f.do(req, maxDocument, isJSON)
}

// post sends a form and returns the JSON that answers it, of at most
// trat.MaxObjectSize bytes. Its errors hold nothing of the form either.
func (f fetcher) post(ctx context.Context, endpoint string, header http.Header, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.do(req, trat.MaxObjectSize, isPlainJSON)
}

func (f fetcher) do(req *http.Request, limit int, isType func(string) error) ([]byte, error) {
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL, causeOf(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{method: req.Method, url: req.URL.String(), code: resp.StatusCode}
	}
	body, err := readBody(resp, limit, isType)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	return body, nil
}

func readBody(resp *http.Response, limit int, isType func(string) error) ([]byte, error) {
	if err := isType(resp.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, causeOf(err)
	case len(body) > limit:
		return nil, fmt.Errorf("%w than %d bytes", errTooLong, limit)
	case len(body) == 0:
		return nil, errors.New("empty")
	}
	return body, nil
}

// causeOf returns what of err quotes nothing of the answer. The errors of HTTP's own
// parsers do, of a status line or a Location: an issuer could write there what it was
// asked about, and have it in our log.
func causeOf(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return ended
		}
	}
	return errors.New("the connection failed, or what came was not HTTP")
}

var errTooLong = errors.New("longer")

var errNotJSON = errors.New("not JSON by its Content-Type")

// isJSON returns nil for a Content-Type that is application/json or a +json type.
func isJSON(contentType string) error {
	media, _, err := mime.ParseMediaType(contentType)
	if err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")) {
		return nil
	}
	return errNotJSON
}

// isPlainJSON returns nil for application/json alone. Answers that are signed (RFC
// 9701) would have to be verified, and are not asked for.
func isPlainJSON(contentType string) error {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && media == "application/json":
		return nil
	case err == nil && media == "application/token-introspection+jwt":
		return errors.New("signed introspection answers are not supported")
	}
	return errNotJSON
}

// statusError is an answer other than 200.
type statusError struct {
	method, url string
	code        int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: status %d", e.method, e.url, e.code)
}

// isStatus says whether err is an answer with the given status code.
func isStatus(err error, code int) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.code == code
}
