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
	"strings"
	"time"
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
		MaxIdleConnsPerHost:    1,
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
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", url, resp.StatusCode)
	}
	if !isJSON(resp.Header.Get("Content-Type")) {
		return nil, fmt.Errorf("GET %s: not JSON by its Content-Type", url)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("GET %s: %w", url, err)
	case len(body) > maxDocument:
		return nil, fmt.Errorf("GET %s: longer than %d bytes", url, maxDocument)
	case len(body) == 0:
		return nil, fmt.Errorf("GET %s: %w", url, errors.New("empty"))
	}
	return body, nil
}

// isJSON says whether a Content-Type is application/json or a +json type.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}
