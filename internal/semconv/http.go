package semconv

import "go.opentelemetry.io/otel/attribute"

// Attribute keys of the OpenTelemetry registry for the token service's HTTP form.
const (
	// HTTPRequestMethod is the method, OtherMethod for one that RFC 9110 does not know.
	HTTPRequestMethod = attribute.Key("http.request.method")
	// HTTPRoute is the endpoint's path; absent for a path that is none.
	HTTPRoute = attribute.Key("http.route")
	// HTTPResponseStatusCode is the status code of the answer (int).
	HTTPResponseStatusCode = attribute.Key("http.response.status_code")
	// URLPath is the endpoint's path, on spans. Another path may hold anything and is not
	// recorded, nor is any query.
	URLPath = attribute.Key("url.path")
	// URLScheme is always "https".
	URLScheme = attribute.Key("url.scheme")
)

// HTTPServerDuration is the time from a request's header to its answer, by
// HTTPRequestMethod, HTTPRoute, HTTPResponseStatusCode, URLScheme and, when refused,
// ErrorType.
var HTTPServerDuration = Instrument{
	Name: "http.server.request.duration", Unit: unitSeconds,
	Description: "Duration of HTTP server requests.",
	Buckets:     []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10},
}
