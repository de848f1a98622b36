package httptoken

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Paths of the endpoints, the first two below that of the base URL.
const (
	tokenPath    = "/token"
	keysPath     = "/jwks"
	metadataPath = "/.well-known/oauth-authorization-server" // RFC 8414 section 3
)

// handler serves all endpoints. Safe for concurrent use.
type handler struct {
	service   TokenService
	keys      Keys
	logger    *slog.Logger
	timeout   time.Duration
	clock     trat.Clock
	telemetry *telemetry
	metadata  httpResponse
	routes    map[string]route // by path, as it is written in the URL
}

// route is one endpoint.
type route struct {
	path    string // of the URL; a closed set, for telemetry
	methods []string
	serve   func(r *http.Request) httpResponse
}

func newHandler(cfg Config) (*handler, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	telemetry, err := newTelemetry(cfg)
	if err != nil {
		return nil, err
	}
	h := &handler{
		service:   cfg.Service,
		keys:      cfg.Keys,
		logger:    cfg.Logger,
		timeout:   cfg.RequestTimeout,
		clock:     cfg.Clock,
		telemetry: telemetry,
	}
	base := strings.TrimRight(cfg.BaseURL, "/")
	h.metadata = metadataOf(cfg.Issuer, base)
	reading := []string{http.MethodGet, http.MethodHead}
	h.routes = make(map[string]route)
	for _, r := range []route{
		{pathOf(base) + tokenPath, []string{http.MethodPost}, h.token},
		{pathOf(base) + keysPath, reading, h.members(h.publishedKeys)},
		// Between host and path, a terminating slash removed (RFC 8414 section 3.1).
		{metadataPath + strings.TrimRight(pathOf(cfg.Issuer), "/"), reading, h.members(h.serviceMetadata)},
	} {
		if _, taken := h.routes[r.path]; taken {
			return nil, fmt.Errorf("BaseURL puts two endpoints at the path %s", r.path)
		}
		h.routes[r.path] = r
	}
	return h, nil
}

// pathOf returns the path of a URL that checkURL has seen, as it is written there.
func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}

// ServeHTTP implements http.Handler. It does not use http.ServeMux, which answers paths
// that it does not like with redirects in HTML.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := h.clock()
	route := h.routes[r.URL.EscapedPath()]
	name, attributes := spanOf(r, route.path)
	ctx, span := h.telemetry.tracer.Start(h.telemetry.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), name,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	defer span.End()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	resp := h.respond(r, route)
	took := h.clock().Sub(started)
	h.telemetry.finish(r, route.path, resp, took)
	h.log(r, route.path, resp, took)
	resp.write(w, r)
}

// respond finds the endpoint and makes its response. A panic has one too.
func (h *handler) respond(r *http.Request, route route) (resp httpResponse) {
	ctx := r.Context()
	defer func() {
		if v := recover(); v != nil {
			// The value may hold anything, a token included: its type has to do.
			h.logger.LogAttrs(ctx, slog.LevelError, "panic", slog.String("type", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
			resp = refused(grpcerr.Error(trat.ReasonInternal), nil)
			resp.hangUp = true
		}
	}()
	if route.serve == nil {
		return noSuchThing(http.StatusNotFound, "there is no such endpoint")
	}
	// No CORS: a browser has no business here, and has no SVID.
	if !slices.Contains(route.methods, r.Method) {
		resp := noSuchThing(http.StatusMethodNotAllowed, "the method is not allowed here")
		resp.header = http.Header{"Allow": {strings.Join(route.methods, ", ")}}
		return resp
	}
	return route.serve(r)
}

// members wraps an endpoint that is for every member of the trust domain, and for nobody
// else, as WatchKeys is over gRPC.
func (h *handler) members(serve func(r *http.Request) httpResponse) func(r *http.Request) httpResponse {
	return func(r *http.Request) httpResponse {
		if err := h.service.MayReadKeys(r.Context()); err != nil {
			return refused(err, nil)
		}
		return serve(r)
	}
}

// write sends resp. Every response is for its caller alone unless resp says otherwise, and is not
// to be taken for anything but what it is.
func (resp httpResponse) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store") // RFC 6749 section 5.1
	header.Set("Pragma", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	maps.Copy(header, resp.header)
	if header.Get("Cache-Control") != "no-store" {
		header.Del("Pragma")
	}
	if resp.hangUp || isOld(r.Context()) {
		header.Set("Connection", "close")
	}
	if resp.status == http.StatusNotModified {
		header.Del("Content-Type")
	} else {
		header.Set("Content-Length", strconv.Itoa(len(resp.body)))
	}
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body) // the caller has gone, and there is nobody to tell
}
