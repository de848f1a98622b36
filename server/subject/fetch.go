package subject

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// fetchTimeout bounds one attempt to get an issuer's keys, all requests and
	// bodies together.
	fetchTimeout = 5 * time.Second
	// maxDocument is the largest metadata document or key set, in bytes.
	maxDocument = 256 << 10
	// maxConns bounds the connections to one host. Two issuers there can be asked as much
	// as they may be without a wait for one, which would be at an issuer's expense.
	maxConns = 2 * maxQuestions
)

// fetcher gets documents from issuers, and nothing but what it is pointed at.
type fetcher struct {
	client *outbound.Client
}

func newFetcher(transport http.RoundTripper) fetcher {
	return fetcher{client: outbound.New(outbound.Config{Timeout: fetchTimeout, MaxConns: maxConns, Transport: transport})}
}

// get returns the JSON document at location. Its errors hold nothing of the answer but
// the status code.
func (f fetcher) get(ctx context.Context, location string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	return f.do(req, outbound.Expect{MaxBody: maxDocument, Type: isJSON})
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
	return f.do(req, outbound.Expect{MaxBody: trat.MaxObjectSize, Type: isPlainJSON})
}

func (f fetcher) do(req *http.Request, want outbound.Expect) ([]byte, error) {
	body, err := f.client.Do(req, want)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	return body, nil
}

// isJSON wants application/json or a +json type.
func isJSON(media string) error {
	if strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json") {
		return nil
	}
	return outbound.IsJSON(media)
}

// isPlainJSON wants application/json alone. Answers that are signed (RFC 9701) would have
// to be verified, and are not asked for.
func isPlainJSON(media string) error {
	if media == "application/token-introspection+jwt" {
		return errors.New("signed introspection answers are not supported")
	}
	return outbound.IsJSON(media)
}

// isStatus says whether err is an answer with the given status code.
func isStatus(err error, code int) bool {
	e, ok := errors.AsType[*outbound.Error](err)
	return ok && e.Status == code
}
